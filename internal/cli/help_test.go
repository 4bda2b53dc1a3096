package cli_test

import (
	"strings"
	"testing"
)

func TestHelpAndCompletionKnowWhatIsACommand(t *testing.T) {
	for args, want := range map[string]struct {
		code int
		text string
	}{
		"help":               {0, "Set sail"},
		"help sail":          {0, "how fast"},
		"help help":          {0, "ship help completion bash"},
		"help sial":          {64, "error: unknown command \"sial\" for \"ship\"\nhint: did you mean 'ship sail'?"},
		"help sail away":     {64, "error: unknown command \"away\" for \"ship sail\""},
		"completion":         {0, "ship completion bash"},
		"completion --help":  {0, "ship completion bash"},
		"completion nope":    {64, "error: unknown command \"nope\" for \"ship completion\""},
		"completion bash":    {0, "__start_ship"},
		"completion fish x":  {64, "error: unknown command \"x\" for \"ship completion fish\""},
		"__complete sail --": {0, "--knots"},
		"__complete help s":  {0, "sail"},
	} {
		code, out, errs := call(t, t.Context(), tool(nil), strings.Fields(args)...)
		if code != want.code || !strings.Contains(out+errs, want.text) {
			t.Errorf("%s: code %d, want %d and %q in\n%s%s", args, code, want.code, want.text, out, errs)
		}
	}
}

func TestHelpFitsItsPaper(t *testing.T) {
	root := tool(nil)
	sail := root.Commands()[0]
	sail.Flags().String("course", "", "`BEARING` to keep, "+strings.Repeat("in a great many words ", 20))
	_, out, _ := call(t, t.Context(), root, "sail", "--help")
	for line := range strings.Lines(out) {
		if len(line) > 101 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	if !strings.Contains(out, "in a great many words") {
		t.Errorf("help lacks the flag:\n%s", out)
	}
}
