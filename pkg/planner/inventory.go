package planner

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// InventoryStore keeps the texts of inventories by digest; eventlog.Bus offers it.
type InventoryStore interface {
	PutInventory(ctx context.Context, text []byte) (digest string, err error)
}

// Apply puts an inventory into force unless it is in force already, and returns
// its generation. A text with errors changes nothing and gives them all.
func Apply(ctx context.Context, store InventoryStore, log eventlog.Log, v *view.View, text []byte, actor, note string, now time.Time) (generation uint64, applied bool, err error) {
	return ApplyWhile(ctx, func() error { return nil }, store, log, v, text, actor, note, now)
}

// ApplyWhile is Apply for a text that is a copy and may be outdated when at last
// it can be applied, as after an outage. It asks current after folding to the
// end of the log, and appends only if no other inventory came since that fold;
// an error of current ends it. So whoever put a newer text into force, having
// read it from the same place, is never overruled with an older one.
func ApplyWhile(ctx context.Context, current func() error, store InventoryStore, log eventlog.Log, v *view.View, text []byte, actor, note string, now time.Time) (generation uint64, applied bool, err error) {
	if _, rep := inventory.Parse(text); !rep.Valid() {
		return 0, false, rep.Err()
	}
	for {
		if err := v.CatchUp(ctx); err != nil {
			return 0, false, fmt.Errorf("catch up before applying: %w", err)
		}
		var ref projection.InventoryRef
		var last uint64 // on the subject, which may be behind the one in force
		v.Read(func(st *projection.State) { ref, last = st.Inventory(), st.LastInventory() })
		if ref.Digest == inventory.Digest(text) {
			return ref.Generation, false, nil
		}
		if err := current(); err != nil {
			return 0, false, err
		}
		seen := Seen{Generation: ref.Generation, Last: last}
		generation, _, err := put(ctx, store, log, text, seen, Word{Actor: actor, Note: note, At: now})
		if errors.Is(err, eventlog.ErrConflict) {
			continue // someone else applied one meanwhile: look again
		}
		return generation, err == nil, err
	}
}

// Seen is what a person, or a fold, knew of the inventory in force.
type Seen struct {
	// Generation in force; 0: none.
	Generation uint64
	// Last sequence on the subject of inventories, as State.LastInventory gives
	// it, which may be behind the one in force; 0: none.
	Last uint64
}

// ApplyOver puts a text into force in the place of exactly the inventory that was
// seen, and returns the sequence at which it was applied. Where another one was
// applied meanwhile the error is eventlog.ErrConflict, and nothing is changed. A
// text with errors changes nothing either, and gives them all.
func ApplyOver(ctx context.Context, store InventoryStore, log eventlog.Log, seen Seen, text []byte, w Word) (sequence uint64, err error) {
	if _, rep := inventory.Parse(text); !rep.Valid() {
		return 0, rep.Err()
	}
	_, sequence, err = put(ctx, store, log, text, seen, w)
	return sequence, err
}

// put stores the text, and only then says that it is in force.
func put(ctx context.Context, store InventoryStore, log eventlog.Log, text []byte, seen Seen, w Word) (generation, sequence uint64, err error) {
	digest, err := store.PutInventory(ctx, text)
	if err != nil {
		return 0, 0, fmt.Errorf("store inventory: %w", err)
	}
	generation = seen.Generation + 1
	sequence, err = log.Append(ctx, eventlog.Entry{
		Event: &events.Event{
			ID:     events.NewID(string(events.TypeInventoryApplied), digest, strconv.FormatUint(generation, 10)),
			Source: events.SourceOperator, Type: events.TypeInventoryApplied, Time: w.At,
			Data: &events.InventoryApplied{Digest: digest, Generation: generation, Actor: w.Actor, Note: w.Note},
		},
		Fence: eventlog.LastOnSubject(seen.Last),
	})
	if err != nil {
		return 0, 0, fmt.Errorf("append inventory.applied: %w", err)
	}
	return generation, sequence, nil
}
