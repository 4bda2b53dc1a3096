package follow

import (
	"context"
	"fmt"
	"testing"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/view"
)

// A view hears a moment earlier that the end has come: whoever works on it and
// finds it stopped has not failed.
func TestAViewThatWasStoppedIsNoFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Run(ctx, stoppedView{}, NewGap(), zerolog.Nop(), func(context.Context) error {
		defer cancel()
		return fmt.Errorf("look at the fold: %w", view.ErrStopped)
	})
	if err != nil {
		t.Error(err)
	}
}

type stoppedView struct{}

func (stoppedView) Run(ctx context.Context) error { <-ctx.Done(); return nil }
