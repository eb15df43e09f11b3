// Checks what is under deploy/ without a container engine: compose files by compose's own parser,
// the Helm chart by Helm's own linter and renderer.
package main

import (
	"fmt"
	"os"
)

func main() {
	// For the script that runs the stack's services as processes.
	if len(os.Args) == 2 && os.Args[1] == "services" {
		if err := printServices("../../deploy/compose"); err != nil {
			fmt.Fprintln(os.Stderr, "deploy:", err)
			os.Exit(1)
		}
		return
	}
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
