package cli

import (
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Bounds of the width of a help text, and what it is where nobody knows better.
const (
	narrowest  = 80
	widest     = 120
	usualWidth = 100
)

// addBuiltIn adds the commands that cobra would add later by itself, so that
// they keep what the package promises. A command without others has none.
func addBuiltIn(root *cobra.Command) {
	if !root.HasSubCommands() {
		return
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Run, cmd.RunE, cmd.Args = nil, runHelp, cobra.ArbitraryArgs
			cmd.Example = "  {path}\n  {path} completion bash"
		case "completion":
			for _, shell := range cmd.Commands() {
				shell.Example = completionExample(root.Name(), shell.Name())
			}
			cmd.Example = completionExample(root.Name(), "bash")
		}
	}
}

func completionExample(program, shell string) string {
	script := map[string]string{
		"bash":       " > ~/.local/share/bash-completion/completions/" + program,
		"zsh":        ` > "${fpath[1]}/_` + program + `"`,
		"fish":       " > ~/.config/fish/completions/" + program + ".fish",
		"powershell": " | Out-String | Invoke-Expression",
	}[shell]
	return "  " + program + " completion " + shell + script
}

// runHelp shows the help of the command that args name.
func runHelp(cmd *cobra.Command, args []string) error {
	topic, rest, err := cmd.Root().Find(args)
	if err != nil {
		return UsageError(err)
	}
	if len(rest) > 0 {
		return unknownCommand(topic, rest[0])
	}
	topic.InitDefaultHelpFlag()
	topic.InitDefaultVersionFlag()
	return topic.Help()
}

// The functions of templates are global to cobra: they are set once, before
// anything runs.
var _ = func() bool {
	cobra.AddTemplateFunc("wrappedFlags", func(cmd *cobra.Command, flags *pflag.FlagSet) string {
		return flags.FlagUsagesWrapped(helpWidth(cmd.OutOrStdout()))
	})
	return true
}()

// wrapHelp breaks the lines of flags at the width of the terminal.
func wrapHelp(root *cobra.Command) {
	t := root.UsageTemplate()
	for _, set := range []string{".LocalFlags", ".InheritedFlags"} {
		t = strings.ReplaceAll(t, set+".FlagUsages ", "wrappedFlags . "+set+" ")
	}
	root.SetUsageTemplate(t)
}

func helpWidth(w io.Writer) int {
	if columns, _ := TerminalSize(w); columns > 0 {
		return min(max(columns, narrowest), widest)
	}
	return usualWidth
}

// TerminalSize in characters; 0 for what is no terminal or does not say.
func TerminalSize(w io.Writer) (columns, rows int) {
	if f, ok := w.(*os.File); ok && IsTerminal(w) {
		return terminalSize(f)
	}
	return 0, 0
}
