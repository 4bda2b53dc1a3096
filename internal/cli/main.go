package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Main runs the command that the process was called with and returns its exit code.
func Main(root *cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// From the first signal on the default is back: the second one kills.
	context.AfterFunc(ctx, stop)
	return Run(ctx, root)
}

// Run is Main with a context in place of signals.
func Run(ctx context.Context, root *cobra.Command) int {
	Prepare(root)
	cmd, err := root.ExecuteContextC(ctx)
	if cmd == nil {
		cmd = root
	}
	if err != nil && errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = Exit{Code: ExitInterrupted, Err: errors.New("interrupted")}
	}
	return report(root.ErrOrStderr(), cmd, err)
}

// PathMark in an Example stands for the words the command is called by, which
// differ when one command is both a program and part of a larger one.
const PathMark = "{path}"

// Prepare gives every command of the tree the behaviour that the package
// promises. Main calls it; calling it again changes nothing.
func Prepare(root *cobra.Command) {
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.SetFlagErrorFunc(flagError)
	if root.Version == "" {
		root.Version = Version()
	}
	addBuiltIn(root)
	wrapHelp(root)
	for _, cmd := range Commands(root) {
		BindEnv(cmd)
		cmd.Example = strings.ReplaceAll(cmd.Example, PathMark, cmd.CommandPath())
		prepareCommand(cmd)
	}
}

// Commands lists root and all commands below it, parents first.
func Commands(root *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{root}
	for _, c := range root.Commands() {
		all = append(all, Commands(c)...)
	}
	return all
}

// Version of the program, such as v1.2.3; (devel) where the build knows none.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func report(w io.Writer, cmd *cobra.Command, err error) int {
	code := ExitOK
	hint := HintOf(err)
	var exit Exit
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &exit):
		code = exit.Code
		if exit.Err == nil {
			return code
		}
	case isUsage(err):
		code = ExitUsage
		if hint == "" {
			hint = fmt.Sprintf("run '%s --help' for usage", cmd.CommandPath())
		}
	default:
		code = ExitFailure
	}
	fmt.Fprintf(w, "error: %v\n", err)
	if hint != "" {
		fmt.Fprintf(w, "hint: %s\n", hint)
	}
	return code
}
