// Loads compose files with the parser of docker compose itself and checks what the stack promises:
// nothing published off loopback, no passwords on a command line, every volume named, every service
// with a memory limit, and every variable that must be set refused when it is not.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

var required = map[string]string{
	"ELASTIC_PASSWORD": "secret-1", "KIBANA_PASSWORD": "secret-2",
	"ENCRYPTION_KEY": "secret-3", "WEIR_ADMIN_TOKEN": "secret-4",
}

func load(folder string, without string) (*types.Project, error) {
	var set []string
	for name, value := range required {
		if name != without {
			set = append(set, name+"="+value)
		}
	}
	example, err := os.ReadFile(filepath.Join(folder, ".env.example"))
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(example), "\n") {
		name, _, found := strings.Cut(line, "=")
		if _, ours := required[name]; found && !ours && !strings.HasPrefix(line, "#") {
			set = append(set, line)
		}
	}
	options, err := cli.NewProjectOptions(
		[]string{filepath.Join(folder, "compose.yaml")},
		cli.WithEnv(set), cli.WithProfiles([]string{"*"}), cli.WithWorkingDirectory(folder),
	)
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}

// Prints the services as the parser understands them, as JSON.
func printServices(folder string) error {
	project, err := load(folder, "")
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(project.Services)
}

func checkCompose(folder string) error {
	for name := range required {
		if _, err := load(folder, name); err == nil {
			return fmt.Errorf("compose starts without %s", name)
		}
	}
	project, err := load(folder, "")
	if err != nil {
		return err
	}
	for name, service := range project.Services {
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				return fmt.Errorf("%s publishes %s off loopback", name, port.Published)
			}
		}
		line := strings.Join(append(append([]string{}, service.Command...), service.Entrypoint...), " ")
		for _, secret := range required {
			if strings.Contains(line, secret) {
				return fmt.Errorf("%s has a password on its command line", name)
			}
		}
		for _, volume := range service.Volumes {
			if volume.Type == "volume" && project.Volumes[volume.Source].Name == "" {
				return fmt.Errorf("%s has an unnamed volume", name)
			}
		}
		if service.MemLimit == 0 {
			return fmt.Errorf("%s has no memory limit", name)
		}
		if service.Image == "weir:local" && (!service.ReadOnly || len(service.CapDrop) == 0) {
			return fmt.Errorf("%s may write to its root or has capabilities", name)
		}
		for other := range service.DependsOn {
			if _, found := project.Services[other]; !found {
				return fmt.Errorf("%s waits for %s, which is not there", name, other)
			}
		}
	}
	fmt.Printf("compose: %d services, %d volumes\n", len(project.Services), len(project.Volumes))
	return nil
}
