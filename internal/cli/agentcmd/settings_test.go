package agentcmd

import (
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/internal/cli"
)

func TestAContextThatIsNotThereEndsTheAgent(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	code, errs := run(t, t.Context(), New(), "--id", "n1", "--dir", t.TempDir(), "--context", "nowhere")
	if code != cli.ExitFailure || !strings.Contains(errs, "error: load nats context \"nowhere\"") || !strings.Contains(errs, "hint: \"nats context ls\"") {
		t.Errorf("exit code %d, %s", code, errs)
	}
}
