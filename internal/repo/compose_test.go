package repo

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	composecli "github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli/agentcmd"
	"github.com/fleetfold/fleetfold/internal/cli/executorcmd"
	"github.com/fleetfold/fleetfold/internal/cli/plannercmd"
	"github.com/fleetfold/fleetfold/pkg/inventory"
)

// programs are the services' commands, as their mains build them.
var programs = map[string]func() *cobra.Command{
	"planner":    plannercmd.New,
	"executor":   executorcmd.New,
	"node-agent": agentcmd.New,
}

// parse reads a command line as the program itself would, and returns the flags.
func parse(t *testing.T, line []string) *cobra.Command {
	t.Helper()
	cmd := programs[line[0]]()
	if err := cmd.ParseFlags(line[1:]); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return cmd
}

func value(cmd *cobra.Command, flag string) string {
	if f := cmd.Flags().Lookup(flag); f != nil {
		return f.Value.String()
	}
	return ""
}

func loadCompose(t *testing.T) *types.Project {
	t.Helper()
	options, err := composecli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")}, composecli.WithDefaultProfiles("*"))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("docker-compose.yml is not valid: %v", err)
	}
	return project
}

func TestComposeHasTheServicesOfAFleet(t *testing.T) {
	project := loadCompose(t)
	want := []string{"executor", "init", "nats", "node-1", "node-2", "node-3", "operator", "planner"}
	if got := project.ServiceNames(); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("services are %q, want %q", got, want)
	}
	for name, service := range project.Services {
		if service.Restart == "" && name != "operator" {
			t.Errorf("%s has no restart policy", name)
		}
		if name == "nats" {
			continue
		}
		if service.Build == nil || service.Build.Context == "" || service.Image != project.Services["planner"].Image {
			t.Errorf("%s is not built from the one Dockerfile", name)
		}
		if !once[name] && programs[service.Command[0]] == nil {
			t.Errorf("%s runs %q, which is none of our programs", name, service.Command[0])
		}
	}
}

// once are the services that do one thing and end.
var once = map[string]bool{"init": true, "operator": true}

func TestComposeCommandsParse(t *testing.T) {
	project := loadCompose(t)
	inventoryText, _ := inventory.Parse([]byte(read(t, "examples/three-nodes.yaml")))
	if inventoryText == nil {
		t.Fatal("examples/three-nodes.yaml is not valid")
	}
	desired := make(map[string]bool)
	for n := range inventoryText.Nodes() {
		desired[string(n.ID)] = true
	}
	for name, service := range project.Services {
		if name == "nats" || once[name] {
			continue
		}
		cmd := parse(t, service.Command)
		if dir := value(cmd, "dir"); dir != "" && !mounted(service, dir) {
			t.Errorf("%s keeps %s in no volume: it would be lost with the container", name, dir)
		}
		if file := value(cmd, "inventory"); file != "" && !mounted(service, filepath.Dir(file)) {
			t.Errorf("%s reads %s, whose folder is not mounted", name, file)
		}
		if id := value(cmd, "id"); id != "" {
			if id != name {
				t.Errorf("service %s speaks for node %q", name, id)
			}
			delete(desired, id)
		}
	}
	if len(desired) > 0 {
		t.Errorf("no service runs the agents of %q", slices.Sorted(maps.Keys(desired)))
	}
}

func mounted(service types.ServiceConfig, dir string) bool {
	return slices.ContainsFunc(service.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == dir })
}

// Every service is asked, and at the address it listens on.
func TestComposeChecksHealth(t *testing.T) {
	project := loadCompose(t)
	for name, service := range project.Services {
		if once[name] {
			continue
		}
		asks := ""
		if service.HealthCheck != nil {
			asks = strings.Join(service.HealthCheck.Test, " ")
		}
		if name == "nats" {
			if !strings.Contains(asks, "http://127.0.0.1:8222/healthz") {
				t.Errorf("nats is asked %q", asks)
			}
			continue
		}
		cmd := parse(t, service.Command)
		address := value(cmd, "listen")
		if want := "CMD fleetfold health http://127.0.0.1" + address + "/readyz"; asks != want {
			t.Errorf("%s listens on %q and is asked %q, want %q", name, address, asks, want)
		}
	}
	for name, needs := range map[string][]string{
		"planner": {"nats"}, "executor": {"nats", "planner"}, "node-1": {"planner"}, "node-2": {"planner"}, "node-3": {"planner"},
	} {
		for _, need := range needs {
			if got := project.Services[name].DependsOn[need].Condition; got != types.ServiceConditionHealthy {
				t.Errorf("%s starts when %s is %q, want %q", name, need, got, types.ServiceConditionHealthy)
			}
		}
	}
}

func serverOptions(t *testing.T, file string) *server.Options {
	t.Helper()
	options, err := server.ProcessConfigFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return options
}

func TestServerConfigurationKeepsWhatItAcknowledged(t *testing.T) {
	o := serverOptions(t, "deploy/nats-server.conf")
	if !o.JetStream || !o.SyncAlways {
		t.Errorf("JetStream is %v and sync_interval always is %v: the log needs both", o.JetStream, o.SyncAlways)
	}
	if o.Host != "127.0.0.1" || o.HTTPHost != "127.0.0.1" || o.HTTPPort != 8222 {
		t.Errorf("listens on %s and %s:%d: without users it must stay on loopback", o.Host, o.HTTPHost, o.HTTPPort)
	}
}

// The pages ask nobody who they are: they are on the server's own loopback, and
// so the planner, which is elsewhere, must not wait for them.
func TestComposeServerIsReachedByClientsOnly(t *testing.T) {
	project := loadCompose(t)
	for _, port := range project.Services["nats"].Ports {
		if port.HostIP != "127.0.0.1" || port.Target != 4222 {
			t.Errorf("port %d is published as %s on %q", port.Target, port.Published, port.HostIP)
		}
	}
	if got := value(parse(t, project.Services["planner"].Command), "monitor"); got != "[]" {
		t.Errorf("the planner asks %s, which it cannot reach, how the server syncs", got)
	}
}

func TestServersOfAClusterKeepWhatTheyAcknowledged(t *testing.T) {
	options, err := server.ProcessConfigFile(filepath.Join(root, "deploy/nats-server-cluster.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if !options.JetStream || !options.SyncAlways {
		t.Errorf("JetStream is %v and sync_interval always is %v: the log needs both", options.JetStream, options.SyncAlways)
	}
	if options.Cluster.Name == "" || len(options.Routes) != 3 {
		t.Errorf("cluster %q has %d routes, want three servers", options.Cluster.Name, len(options.Routes))
	}
	if options.Host != "127.0.0.1" || options.HTTPHost != "127.0.0.1" || options.Cluster.Host != "127.0.0.1" {
		t.Errorf("listens on %s, %s and %s: without users it must stay on loopback", options.Host, options.HTTPHost, options.Cluster.Host)
	}
}

var building = regexp.MustCompile(`CGO_ENABLED=0 go build .*`)

func TestOneBuildCommand(t *testing.T) {
	want := building.FindString(read(t, "Makefile"))
	if want == "" {
		t.Fatal("the Makefile does not build")
	}
	for _, file := range []string{"Dockerfile", "README.md"} {
		if got := building.FindAllString(read(t, file), -1); !slices.Equal(got, []string{want}) {
			t.Errorf("%s builds by %q, make build by %q", file, got, want)
		}
	}
	for _, program := range []string{"fleetfold", "planner", "executor", "node-agent"} {
		if !strings.Contains(read(t, "Dockerfile"), " /src/bin/"+program+" ") {
			t.Errorf("the image lacks %s", program)
		}
	}
}

func TestReadmeRunsServicesThatParse(t *testing.T) {
	ran := make(map[string]int)
	for _, line := range codeLines(read(t, "README.md")) {
		name, found := strings.CutPrefix(line, "bin/")
		words := strings.Fields(name)
		if !found || programs[words[0]] == nil {
			continue
		}
		parse(t, words)
		ran[words[0]]++
	}
	if want := map[string]int{"planner": 1, "executor": 1, "node-agent": 5}; !maps.Equal(ran, want) {
		t.Errorf("README.md runs %v, want %v", ran, want)
	}
}
