// Lints and renders the Helm chart with Helm's own library, for several settings, and checks what
// every pod must have.
package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	serializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/kubernetes/scheme"
)

func checkChart(folder string) error {
	linter := lint.All(folder, map[string]interface{}{}, "weir", true)
	for _, message := range linter.Messages {
		if message.Severity >= support.WarningSev {
			return fmt.Errorf("helm lint: %s", message)
		}
	}
	chart, err := loader.Load(folder)
	if err != nil {
		return err
	}
	wanted := map[string][]string{
		"":         {"StatefulSet", "Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "ConfigMap", "Job"},
		"keda":     {"ScaledObject"},
		"monitor":  {"PodMonitor"},
		"no-setup": {"StatefulSet"},
	}
	settings := map[string]map[string]interface{}{
		"":         {},
		"keda":     {"sink": map[string]interface{}{"keda": map[string]interface{}{"enabled": true}}},
		"monitor":  {"podMonitor": map[string]interface{}{"enabled": true}},
		"no-setup": {"setup": map[string]interface{}{"enabled": false}},
	}
	for name, values := range settings {
		kinds, err := render(folder, values)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, kind := range wanted[name] {
			if kinds[kind] == 0 {
				return fmt.Errorf("%q renders no %s", name, kind)
			}
		}
	}
	wrong := map[string]interface{}{"config": map[string]interface{}{"WEIR_STREAM": "embedded"}}
	if _, err := render(folder, wrong); err == nil {
		return fmt.Errorf("the chart takes an embedded stream")
	}
	misspelt := map[string]interface{}{
		"apiVersion": "v1", "kind": "Service", "spec": map[string]interface{}{"port": []interface{}{}},
	}
	if err := checkSchema(misspelt); err == nil {
		return fmt.Errorf("a misspelt member passes")
	}
	fmt.Printf("helm: %s %s lints, renders and fits Kubernetes' types\n", chart.Name(), chart.Metadata.Version)
	return nil
}

// Renders the chart; how many objects there are of each kind.
func render(folder string, values map[string]interface{}) (map[string]int, error) {
	chart, err := loader.Load(folder)
	if err != nil {
		return nil, err
	}
	options := chartutil.ReleaseOptions{Name: "weir", Namespace: "web", IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Render(chart, all)
	if err != nil {
		return nil, err
	}
	kinds := map[string]int{}
	for file, text := range rendered {
		decoder := yaml.NewDecoder(strings.NewReader(text))
		for {
			var object map[string]interface{}
			if err := decoder.Decode(&object); err != nil {
				if err.Error() == "EOF" {
					break
				}
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			if object == nil {
				continue
			}
			kind, _ := object["kind"].(string)
			kinds[kind]++
			if err := checkSchema(object); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			if err := checkPod(object); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return kinds, nil
}

// Read strictly as Kubernetes' own type: no unknown member, no value of another type. Kinds that other
// operators define have no type here.
func checkSchema(object map[string]interface{}) error {
	version, _ := object["apiVersion"].(string)
	switch group, _, _ := strings.Cut(version, "/"); group {
	case "keda.sh", "monitoring.coreos.com":
		return nil
	}
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	options := serializer.SerializerOptions{Strict: true}
	reader := serializer.NewSerializerWithOptions(serializer.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, options)
	_, _, err = reader.Decode(text, nil, nil)
	return err
}

// A workload's pods are not root, write nothing but volumes, and its selector finds them.
func checkPod(object map[string]interface{}) error {
	spec, _ := object["spec"].(map[string]interface{})
	template, found := spec["template"].(map[string]interface{})
	if !found {
		return nil
	}
	pod := template["spec"].(map[string]interface{})
	if pod["securityContext"].(map[string]interface{})["runAsNonRoot"] != true {
		return fmt.Errorf("runs as root")
	}
	for _, container := range pod["containers"].([]interface{}) {
		security := container.(map[string]interface{})["securityContext"].(map[string]interface{})
		if security["readOnlyRootFilesystem"] != true || security["allowPrivilegeEscalation"] != false {
			return fmt.Errorf("a container may write to its root or gain rights")
		}
	}
	selector, found := spec["selector"].(map[string]interface{})
	if !found {
		return nil
	}
	labels := template["metadata"].(map[string]interface{})["labels"].(map[string]interface{})
	for name, value := range selector["matchLabels"].(map[string]interface{}) {
		if labels[name] != value {
			return fmt.Errorf("the selector's %s is not the pods'", name)
		}
	}
	return nil
}
