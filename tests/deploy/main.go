// Checks what is under deploy/ without a container engine: compose files by compose's own parser,
// the Helm chart by Helm's own linter and renderer.
package main

import (
	"fmt"
	"os"
)

func main() {
	checks := []func() error{
		func() error { return checkCompose("../../deploy/compose") },
		func() error { return checkChart("../../deploy/helm/weir") },
	}
	for _, check := range checks {
		if err := check(); err != nil {
			fmt.Fprintln(os.Stderr, "deploy:", err)
			os.Exit(1)
		}
	}
}
