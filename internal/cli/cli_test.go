package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/cli/clitest"
)

// tool is a small tree; run is what its command "sail" does.
func tool(run func(cmd *cobra.Command) error) *cobra.Command {
	root := &cobra.Command{Use: "ship", Short: "Sail", Example: "  ship sail --knots 3"}
	sail := &cobra.Command{
		Use: "sail", Short: "Set sail", Example: "  {path} --knots 3 | cat",
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd) },
	}
	sail.Flags().Int("knots", 2, "how fast, in `KNOTS` of 1 to 30")
	sail.Flags().Bool("at-night", false, "sail in the dark")
	cli.Choice(sail.Flags(), "rig", "kind of `RIG`", "sloop", "ketch")
	root.AddCommand(sail)
	return root
}

func call(t *testing.T, ctx context.Context, root *cobra.Command, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	code = cli.Run(ctx, root)
	return code, stdout.String(), stderr.String()
}

func TestErrorsBecomeWordsAndExitCodes(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		args []string
		err  error
		code int
		errs string
	}{
		"done":                               {args: []string{"sail"}},
		"a failure":                          {args: []string{"sail"}, err: errors.New("no wind"), code: 1, errs: "error: no wind\n"},
		"a failure with a hint":              {args: []string{"sail"}, err: fmt.Errorf("set sail: %w", cli.WithHint(errors.New("no wind"), "wait")), code: 1, errs: "error: set sail: no wind\nhint: wait\n"},
		"the innermost hint wins":            {args: []string{"sail"}, err: cli.WithHint(cli.WithHint(errors.New("x"), "inner"), "outer"), code: 1, errs: "error: x\nhint: inner\n"},
		"a usage error":                      {args: []string{"sail"}, err: cli.Usagef("no %s", "crew"), code: 64, errs: "error: no crew\nhint: run 'ship sail --help' for usage\n"},
		"a silent exit code":                 {args: []string{"sail"}, err: cli.Exit{Code: 2}, code: 2},
		"an exit code with words":            {args: []string{"sail"}, err: cli.Exit{Code: 3, Err: errors.New("drift")}, code: 3, errs: "error: drift\n"},
		"a misspelt flag":                    {args: []string{"sail", "--knot", "3"}, code: 64, errs: "error: unknown flag: --knot\nhint: did you mean '--knots'? run 'ship sail --help' for usage\n"},
		"a strange flag":                     {args: []string{"sail", "--zzzzzzzz"}, code: 64, errs: "error: unknown flag: --zzzzzzzz\nhint: run 'ship sail --help' for usage\n"},
		"a value of the wrong type":          {args: []string{"sail", "--knots", "x"}, code: 64, errs: "error: invalid argument \"x\" for \"--knots\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\nhint: run 'ship sail --help' for usage\n"},
		"a value that is no choice":          {args: []string{"sail", "--rig", "raft"}, code: 64, errs: "error: invalid argument \"raft\" for \"--rig\" flag: must be one of sloop, ketch\nhint: run 'ship sail --help' for usage\n"},
		"a misspelt command":                 {args: []string{"sial"}, code: 64, errs: "error: unknown command \"sial\" for \"ship\"\nhint: did you mean 'ship sail'?\n"},
		"an argument nobody asked of":        {args: []string{"sail", "away"}, code: 64, errs: "error: unknown command \"away\" for \"ship sail\"\nhint: run 'ship sail --help' for usage\n"},
		"a signal":                           {ctx: canceled, args: []string{"sail"}, err: fmt.Errorf("sail: %w", context.Canceled), code: 130, errs: "error: interrupted\n"},
		"a service that a signal ended well": {ctx: canceled, args: []string{"sail"}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := c.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			code, _, errs := call(t, ctx, tool(func(*cobra.Command) error { return c.err }), c.args...)
			if code != c.code || errs != c.errs {
				t.Errorf("got %d and\n%swant %d and\n%s", code, errs, c.code, c.errs)
			}
		})
	}
}

func TestFlagsTakeTheirDefaultFromTheEnvironment(t *testing.T) {
	t.Setenv("FLEETFOLD_KNOTS", "7")
	t.Setenv("FLEETFOLD_AT_NIGHT", "")
	var knots int
	root := func() *cobra.Command {
		return tool(func(cmd *cobra.Command) (err error) {
			knots, err = cmd.Flags().GetInt("knots")
			return err
		})
	}
	if code, _, errs := call(t, t.Context(), root(), "sail"); code != 0 || knots != 7 {
		t.Errorf("environment: code %d, %d knots, %s", code, knots, errs)
	}
	if code, _, errs := call(t, t.Context(), root(), "sail", "--knots", "9"); code != 0 || knots != 9 {
		t.Errorf("command line: code %d, %d knots, %s", code, knots, errs)
	}
	t.Setenv("FLEETFOLD_RIG", "raft")
	code, _, errs := call(t, t.Context(), root(), "sail")
	if code != 64 || !strings.Contains(errs, `FLEETFOLD_RIG="raft" is no value for --rig: must be one of sloop, ketch`) {
		t.Errorf("bad value: code %d, %s", code, errs)
	}
}

func TestTheEnvironmentIsReadBeforeAnyHookAndSatisfiesRequiredFlags(t *testing.T) {
	root := &cobra.Command{Use: "ship"}
	var early string
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		early, _ = cmd.Flags().GetString("port")
		return nil
	}
	sail := &cobra.Command{Use: "sail", RunE: func(*cobra.Command, []string) error { return nil }}
	sail.Flags().String("port", "", "`PORT` to sail to")
	_ = sail.MarkFlagRequired("port")
	root.AddCommand(sail)
	code, _, errs := call(t, t.Context(), root, "sail")
	if code != 64 || !strings.Contains(errs, `required flag(s) "port" not set`) {
		t.Errorf("missing: code %d, %s", code, errs)
	}
	t.Setenv("FLEETFOLD_PORT", "oslo")
	if code, _, errs := call(t, t.Context(), root, "sail"); code != 0 || early != "oslo" {
		t.Errorf("given: code %d, port %q, %s", code, early, errs)
	}
}

func TestHelpNamesTheVariablesAndFitsTheTree(t *testing.T) {
	clitest.CheckHelp(t, tool(nil))
	code, out, _ := call(t, t.Context(), tool(nil), "sail", "--help")
	for _, want := range []string{"how fast, in KNOTS of 1 to 30 (env FLEETFOLD_KNOTS) (default 2)", "FLEETFOLD_AT_NIGHT", "ship sail --knots 3 | cat"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("help lacks %q:\n%s", want, out)
		}
	}
	if code, out, _ := call(t, t.Context(), tool(nil)); code != 0 || !strings.Contains(out, "Set sail") {
		t.Errorf("bare command: code %d\n%s", code, out)
	}
}

func TestADefaultCanBeChangedFromOutside(t *testing.T) {
	var rig string
	root := func() *cobra.Command {
		r := tool(func(cmd *cobra.Command) error { rig = cmd.Flag("rig").Value.String(); return nil })
		cli.SetDefault(r.Commands()[0].Flags(), "rig", "ketch")
		return r
	}
	if _, out, _ := call(t, t.Context(), root(), "sail", "--help"); !strings.Contains(out, "(default \"ketch\")") {
		t.Errorf("help: %s", out)
	}
	if code, _, _ := call(t, t.Context(), root(), "sail"); code != 0 || rig != "ketch" {
		t.Errorf("code %d, rig %q", code, rig)
	}
	t.Setenv("FLEETFOLD_RIG", "sloop")
	if code, _, _ := call(t, t.Context(), root(), "sail"); code != 0 || rig != "sloop" {
		t.Errorf("environment: code %d, rig %q", code, rig)
	}
}

type failures struct {
	testing.TB
	texts []string
}

func (f *failures) Helper() {}
func (f *failures) Errorf(format string, args ...any) {
	f.texts = append(f.texts, fmt.Sprintf(format, args...))
}

func TestCheckHelpFindsWhatIsMissing(t *testing.T) {
	root := &cobra.Command{Use: "ship", Short: "Sail", Example: "  ship --sails 3\n  ship row"}
	row := &cobra.Command{Use: "row", Run: func(*cobra.Command, []string) {}}
	row.Flags().Bool("fast", false, "")
	row.Flags().Int("strokes", 0, "strokes a minute")
	root.AddCommand(row)
	f := &failures{TB: t}
	clitest.CheckHelp(f, root)
	got := strings.Join(f.texts, "\n")
	for _, want := range []string{"no flag --sails", "ship row: no Short", "ship row: no Example", "ship row --fast: no usage", `ship row --strokes: no NAME in capitals for its value, but "int"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q was not found in\n%s", want, got)
		}
	}
}

func TestLogIsJSONUnlessAskedOtherwise(t *testing.T) {
	for format, want := range map[string]string{"auto": `"message":"hello"`, "json": `"message":"hello"`, "console": "INF hello node=n1"} {
		var l cli.LogFlags
		root := &cobra.Command{Use: "ship", RunE: func(cmd *cobra.Command, _ []string) error {
			log := l.Logger(cmd.ErrOrStderr())
			log.Info().Str("node", "n1").Msg("hello")
			log.Debug().Msg("hidden")
			cli.BusLogger(log)("connection lost", errors.New("eof"))
			cli.BusLogger(log)("connection restored", nil)
			return nil
		}}
		l.AddTo(root.Flags())
		_, _, errs := call(t, t.Context(), root, "--log-format", format)
		if !strings.Contains(errs, want) || strings.Contains(errs, "hidden") || strings.Contains(errs, "\x1b") || !strings.Contains(errs, "eof") || !strings.Contains(errs, "connection restored") {
			t.Errorf("%s: %q", format, errs)
		}
	}
}

func TestMainRunsTheProcessArguments(t *testing.T) {
	args := os.Args
	defer func() { os.Args = args }()
	os.Args = []string{"ship", "sail"}
	ran := false
	root := tool(func(*cobra.Command) error { ran = true; return nil })
	root.SetErr(io.Discard)
	if code := cli.Main(root); code != 0 || !ran {
		t.Errorf("code %d, ran %v", code, ran)
	}
}

func TestASignalEndsTheContextOfTheCommand(t *testing.T) {
	args := os.Args
	defer func() { os.Args = args }()
	os.Args = []string{"ship", "sail"}
	root := tool(func(cmd *cobra.Command) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		<-cmd.Context().Done()
		return nil
	})
	if code := cli.Main(root); code != 0 {
		t.Errorf("code %d", code)
	}
}
