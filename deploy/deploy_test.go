// Package deploy_test holds the examples of this folder against the program that they start.
package deploy_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"lumela/internal/app"
)

// drain is how long a node may take to end: whoever stops it must wait longer.
const drain = 10 * time.Second

func read(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// texts are the files of this folder and the documents that show commands.
func texts(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{"../docs/operations.md": read(t, "../docs/operations.md"), "../docs/running.md": read(t, "../docs/running.md")}
	err := filepath.WalkDir(".", func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && filepath.Ext(p) != ".go" {
			out[p] = read(t, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// variables are the environment variables that a node reads.
func variables() []string {
	out := []string{"LUMELA_CONFIG", "LUMELA_BOOTSTRAP_API_KEY"}
	for f := range reflect.TypeFor[app.Config]().Fields() {
		if name := f.Tag.Get("env"); name != "" {
			out = append(out, name)
		}
	}
	return out
}

func TestEverySettingExists(t *testing.T) {
	t.Parallel()
	known := variables()
	for name, text := range texts(t) {
		for _, v := range regexp.MustCompile(`LUMELA_[A-Z_]*[A-Z]`).FindAllString(text, -1) {
			if !slices.Contains(known, v) {
				t.Errorf("%s: %s is no setting", name, v)
			}
		}
	}
}

// TestEveryCommandExists finds command lines in documents and files, and looks up the command and its flags.
func TestEveryCommandExists(t *testing.T) {
	t.Parallel()
	found := 0
	for name, text := range texts(t) {
		for _, line := range regexp.MustCompile(`lumela"?,? "?(serve|backup|restore|export|import|health|simulate)\b[^\n]*`).FindAllStringSubmatch(text, -1) {
			cmd, _, err := app.Command().Find([]string{line[1]})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			found++
			for _, flag := range regexp.MustCompile(`--([a-z][a-z-]+)`).FindAllStringSubmatch(line[0], -1) {
				if cmd.Flags().Lookup(flag[1]) == nil && flag[1] != "help" {
					t.Errorf("%s: lumela %s has no flag --%s", name, line[1], flag[1])
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d commands found", found)
	}
}

// TestEveryFlagIsInTheTable: docs/running.md names every setting.
func TestEveryFlagIsInTheTable(t *testing.T) {
	t.Parallel()
	table := read(t, "../docs/running.md")
	cfg, flags := app.Default(), pflag.NewFlagSet("", pflag.ContinueOnError)
	cfg.Flags(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(table, "`--"+f.Name+"`") {
			t.Errorf("docs/running.md does not name --%s", f.Name)
		}
	})
}

// settings reads an environment as a node does.
func settings(t *testing.T, name string, environment map[string]string) {
	t.Helper()
	cfg := app.Default()
	if err := env.ParseWithOptions(&cfg, env.Options{Environment: environment}); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if cfg.DrainDelay > 4*time.Second || cfg.BackupDir != "" && cfg.Database != "" {
		t.Errorf("%s: a node would not start with %v", name, environment)
	}
}

func decode(t *testing.T, name string) []map[string]any {
	t.Helper()
	dec := yaml.NewDecoder(strings.NewReader(read(t, name)))
	var out []map[string]any
	for {
		doc := map[string]any{}
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, doc)
	}
}

// at walks a document; nil when there is nothing.
func at(v any, path ...string) any {
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

func stringsOf(v any) map[string]string {
	out := map[string]string{}
	m, _ := v.(map[string]any) // none: nothing to copy
	for k, v := range m {
		out[k], _ = v.(string) // what is no text is tested as empty
	}
	return out
}

func TestCompose(t *testing.T) {
	t.Parallel()
	doc := decode(t, "compose/compose.yaml")[0]
	services, _ := doc["services"].(map[string]any)
	volumes, _ := doc["volumes"].(map[string]any)
	nodes := 0
	for name, s := range services {
		if at(s, "image") == nil {
			t.Errorf("%s has no image", name)
		}
		needs := at(s, "depends_on")
		var names []string
		switch needs := needs.(type) {
		case map[string]any:
			for n := range needs {
				names = append(names, n)
			}
		case []any:
			for _, n := range needs {
				names = append(names, n.(string))
			}
		}
		for _, n := range names {
			if services[n] == nil {
				t.Errorf("%s waits for %s, which there is not", name, n)
			}
		}
		mounts, _ := at(s, "volumes").([]any)
		for _, m := range mounts {
			from, _, _ := strings.Cut(m.(string), ":")
			if path, file := strings.CutPrefix(from, "./"); file {
				read(t, filepath.Join("compose", path))
			} else if _, ok := volumes[from]; !ok {
				t.Errorf("%s mounts %s, which there is not", name, from)
			}
		}
		if !strings.HasPrefix(name, "node-") {
			continue
		}
		nodes++
		settings(t, name, stringsOf(at(s, "environment")))
		grace, err := time.ParseDuration(at(s, "stop_grace_period").(string))
		if err != nil || grace <= drain {
			t.Errorf("%s is killed while it drains: %v %v", name, grace, err)
		}
		if !strings.Contains(read(t, "compose/haproxy.cfg"), " "+name+":8080") {
			t.Errorf("the balancer does not know %s", name)
		}
	}
	if nodes != 3 {
		t.Errorf("%d nodes", nodes)
	}
	for _, v := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(read(t, "compose/compose.yaml"), -1) {
		if !strings.Contains(read(t, "compose/env.example"), "\n"+v[1]+"=") {
			t.Errorf("env.example does not name %s", v[1])
		}
	}
}

func TestNATSConfiguration(t *testing.T) {
	t.Setenv("NATS_PASSWORD", "secret1")
	o, err := server.ProcessConfigFile("compose/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	if o.Password != "secret1" || o.Cluster.Password != "secret1" || o.Cluster.Port != 6222 || o.MaxPayload != 8<<20 || o.JetStream {
		t.Errorf("read as %+v", o.Cluster)
	}
}

func TestHAProxyConfiguration(t *testing.T) {
	t.Parallel()
	text := read(t, "compose/haproxy.cfg")
	for _, want := range []string{"balance leastconn", "GET /readyz", "mode tcp"} {
		if !strings.Contains(text, want) {
			t.Errorf("haproxy.cfg lacks %q", want)
		}
	}
	if strings.Contains(text, "shutdown-sessions") {
		t.Error("links are cut as soon as a node says that it drains, before it can end them")
	}
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("haproxy is not installed: its own check of the file is left out")
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg") // names of services resolve only within the composition
	if err := os.WriteFile(file, []byte(regexp.MustCompile(`node-\d:8080`).ReplaceAllString(text, "127.0.0.1:8080")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(haproxy, "-c", "-f", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestSystemdUnit(t *testing.T) {
	t.Parallel()
	unit := read(t, "systemd/lumela.service")
	get := func(key string) string {
		t.Helper()
		m := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindStringSubmatch(unit)
		if m == nil {
			t.Fatalf("the unit has no %s", key)
		}
		return m[1]
	}
	if stop, err := time.ParseDuration(get("TimeoutStopSec") + "s"); err != nil || stop <= drain {
		t.Errorf("the node is killed while it drains: %v %v", stop, err)
	}
	environment := map[string]string{}
	for line := range strings.Lines(strings.ReplaceAll(read(t, "systemd/lumela.env.example"), "\n#LUMELA", "\nOTHER")) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			environment[k] = v
		}
	}
	settings(t, "lumela.env.example", environment)
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: its own check of the unit is left out")
	}
	file := filepath.Join(t.TempDir(), "lumela.service")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(unit, "/usr/local/bin/lumela", "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", file).CombinedOutput(); err != nil || bytes.Contains(out, []byte("lumela.service")) {
		t.Errorf("%v: %s", err, out)
	}
}

// fields are the names that the manifests may use, so that one that is mistyped is found.
var fields = strings.Fields(`apiVersion kind metadata name labels data spec replicas selector matchLabels strategy type rollingUpdate maxUnavailable maxSurge
	minReadySeconds template annotations terminationGracePeriodSeconds automountServiceAccountToken affinity podAntiAffinity
	requiredDuringSchedulingIgnoredDuringExecution topologyKey labelSelector topologySpreadConstraints maxSkew whenUnsatisfiable securityContext
	runAsNonRoot runAsUser runAsGroup fsGroup seccompProfile containers image args envFrom configMapRef secretRef env valueFrom fieldRef fieldPath value
	ports containerPort readinessProbe livenessProbe startupProbe httpGet path port periodSeconds timeoutSeconds failureThreshold resources requests
	limits cpu memory allowPrivilegeEscalation readOnlyRootFilesystem capabilities drop volumeMounts mountPath volumes emptyDir sizeLimit
	externalTrafficPolicy targetPort stringData`)

func checkFields(t *testing.T, where string, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for k, sub := range v {
			if !slices.Contains(fields, k) {
				t.Errorf("%s.%s is no field of a manifest", where, k)
			}
			if k == "labels" || k == "matchLabels" || k == "annotations" || k == "data" || k == "stringData" || k == "selector" && where == "Service.spec" {
				continue
			}
			checkFields(t, where+"."+k, sub)
		}
	case []any:
		for _, sub := range v {
			checkFields(t, where+"[]", sub)
		}
	}
}

func TestKubernetes(t *testing.T) {
	t.Parallel()
	kinds := map[string]map[string]any{}
	for _, doc := range append(decode(t, "kubernetes/lumela.yaml"), decode(t, "kubernetes/secret.example.yaml")...) {
		kind, _ := doc["kind"].(string)
		kinds[kind] = doc
		checkFields(t, kind, doc)
		want := map[string]string{"Deployment": "apps/v1", "PodDisruptionBudget": "policy/v1"}[kind]
		if want == "" {
			want = "v1"
		}
		if doc["apiVersion"] != want || at(doc, "metadata", "name") != "lumela" {
			t.Errorf("%s: %v %v", kind, doc["apiVersion"], at(doc, "metadata", "name"))
		}
	}
	pod := at(kinds["Deployment"], "spec", "template")
	labels := at(pod, "metadata", "labels")
	for kind, path := range map[string][]string{"Deployment": {"spec", "selector", "matchLabels"}, "PodDisruptionBudget": {"spec", "selector", "matchLabels"}, "Service": {"spec", "selector"}} {
		if !reflect.DeepEqual(at(kinds[kind], path...), labels) {
			t.Errorf("%s selects %v, the pods are %v", kind, at(kinds[kind], path...), labels)
		}
	}
	if grace, _ := at(pod, "spec", "terminationGracePeriodSeconds").(int); time.Duration(grace)*time.Second <= drain {
		t.Errorf("a pod is killed while it drains: %d s", grace)
	}
	environment := stringsOf(at(kinds["ConfigMap"], "data"))
	for k, v := range stringsOf(at(kinds["Secret"], "stringData")) {
		environment[k] = v
	}
	settings(t, "lumela.yaml", environment)
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	text := read(t, "docker/Dockerfile")
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../go.mod"))
	if version == nil || !strings.Contains(text, "FROM golang:"+version[1]+"-") {
		t.Errorf("the image is built with another Go than go.mod's %v", version)
	}
	for _, m := range regexp.MustCompile(`(?m)^COPY ([^-\n].*) \S+$`).FindAllStringSubmatch(text, -1) {
		for _, name := range strings.Fields(m[1]) {
			if _, err := os.Stat(filepath.Join("..", name)); err != nil {
				t.Errorf("COPY: %v", err)
			}
		}
	}
	if !strings.Contains(text, "USER 65532") || !strings.Contains(text, "HEALTHCHECK") {
		t.Error("the container runs as root, or nobody asks for its health")
	}
}
