package checkpoint

import (
	"context"
	"time"

	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/program"
)

// commandLimit is how long a program may take for one checkpoint.
const commandLimit = 10 * time.Second

// ToFile replaces a file, of which readers see the old note or the new one.
func ToFile(path string) func(context.Context, []byte) error {
	return func(_ context.Context, note []byte) error { return identity.WriteFileAtomic(path, note, 0o644) }
}

// ToCommand runs a program with the note on its standard input, for ten seconds
// at most.
func ToCommand(argv []string) func(context.Context, []byte) error {
	return func(ctx context.Context, note []byte) error {
		_, err := program.Ask(ctx, argv, note, commandLimit)
		return err
	}
}
