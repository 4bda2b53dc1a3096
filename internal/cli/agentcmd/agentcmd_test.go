package agentcmd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/clitest"
	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestMain(m *testing.M) { leak.Main(m) }

type quietBus struct{ beats chan *events.Heartbeat }

func (b quietBus) Beat(_ context.Context, _ fleet.NodeID, e *events.Event, _ time.Duration) error {
	b.beats <- e.Data.(*events.Heartbeat)
	return nil
}
func (quietBus) Request(context.Context, fleet.NodeID, *events.Event) (*events.Event, error) {
	return nil, errors.New("no executor listens")
}
func (quietBus) State(context.Context, *events.Event) error { return nil }
func (quietBus) ServeCommands(context.Context, fleet.NodeID, func(context.Context, *events.Event) *events.Event) (func(), error) {
	return func() {}, nil
}
func (quietBus) Close() {}

func TestHelp(t *testing.T) {
	clitest.CheckHelp(t, New())
	root := &cobra.Command{Use: "fleetfold", Short: "Operate a fleet", Example: "  fleetfold node-agent --id n1"}
	root.AddCommand(New())
	clitest.CheckHelp(t, root)
}

func TestMistakesOfTheCaller(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	for want, args := range map[string][]string{
		"--id is required":         {},
		"lease 1.5s must be whole": {"--id", "n1", "--lease", "1500ms"},
		"lease must be above 0":    {"--id", "n1", "--lease", "0s"},
		"subject prefix":           {"--id", "n1", "--prefix", "a.b"},
		"node id":                  {"--id", "a\tb"},
	} {
		code, errs := run(t, t.Context(), New(), args...)
		if code != cli.ExitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: code %d, %s", args, code, errs)
		}
	}
}

func TestItRunsUntilStandardInputEnds(t *testing.T) {
	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	t.Setenv("FLEETFOLD_ID", "a/b")
	bus := quietBus{make(chan *events.Heartbeat, 10)}
	var got eventlog.Options
	cmd := newCommand(func(_ context.Context, o eventlog.Options) (agent.Bus, error) { got = o; return bus, nil })
	stdin, parent := io.Pipe()
	cmd.SetIn(stdin)
	ended := make(chan int)
	go func() {
		code, _ := run(t, t.Context(), cmd, "--stop-on-stdin-eof", "--nats", "nats://x")
		ended <- code
	}()
	if beat := <-bus.beats; beat.LeaseSeconds != 15 {
		t.Errorf("heartbeat is %+v", beat)
	}
	parent.Close()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
	if last := <-bus.beats; !last.Leaving {
		t.Errorf("last heartbeat is %+v", last)
	}
	if got.URL != "nats://x" || got.Prefix != "fleet" || got.CustomInboxPrefix != "_INBOX.fleet.a%2Fb" {
		t.Errorf("connected with %+v", got)
	}
	if keys, _ := filepath.Glob(filepath.Join(data, "fleetfold", "a%2Fb", agent.KeyFile)); len(keys) != 1 {
		t.Error("the key is not in the default folder")
	}
}

func TestTheLongestIDsHaveADefaultFolder(t *testing.T) {
	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	for _, id := range []fleet.NodeID{
		fleet.NodeID("a" + strings.Repeat("/", 127)), fleet.NodeID(strings.Repeat("a/", 64)), fleet.NodeID("b" + strings.Repeat(":", 127)),
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cmd := newCommand(func(context.Context, eventlog.Options) (agent.Bus, error) {
			cancel()
			return nil, errors.New("refused")
		})
		if code, errs := run(t, ctx, cmd, "--id", string(id)); code != 0 {
			t.Errorf("%s: code %d, %s", id, code, errs)
		}
		if _, err := os.Stat(filepath.Join(data, "fleetfold", events.FileName(id), agent.KeyFile)); err != nil {
			t.Error(err)
		}
	}
}

func TestAServerThatNeverCameIsNoFailureOfAStop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cmd := newCommand(func(context.Context, eventlog.Options) (agent.Bus, error) {
		cancel()
		return nil, errors.New("refused")
	})
	if code, errs := run(t, ctx, cmd, "--id", "n1", "--dir", t.TempDir()); code != 0 {
		t.Errorf("code %d, %s", code, errs)
	}
}

func run(t *testing.T, ctx context.Context, cmd *cobra.Command, args ...string) (code int, errs string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetOut(io.Discard)
	cmd.SetErr(&stderr)
	code = cli.Run(ctx, cmd)
	return code, stderr.String()
}
