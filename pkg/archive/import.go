package archive

import (
	"context"
	"errors"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// importPage is how many records are handed over at a time.
const importPage = 500

// Import fills the log of an empty system with what a file has, from the first
// record on, each with its sequence, time, headers and bytes.
type Import struct {
	File *File
	Bus  *eventlog.Bus
	// Progress, unless nil, is called with the last sequence that is stored.
	Progress func(seq uint64)
}

// Run verifies all of the file before it changes anything, and reads the log
// back at the end: it must have the same root. An import that was interrupted is
// gone on with, if what is there is of the same file.
func (i Import) Run(ctx context.Context) (Summary, error) {
	sum, err := i.File.Verify(ctx)
	switch {
	case err != nil:
		return Summary{}, err
	case sum.After > 0:
		return Summary{}, fmt.Errorf("import: %w: it begins behind sequence %d: put it behind the parts before it", ErrPart, sum.After)
	case sum.Size == 0:
		return Summary{}, errors.New("import: the export has no record")
	case i.File.Subjects() != i.Bus.Log().Subjects():
		return Summary{}, fmt.Errorf("import: the export is of prefix %q, not of %q: its records keep their subjects", i.File.Subjects().Prefix(), i.Bus.Log().Subjects().Prefix())
	}
	to, err := i.Bus.BeginImport(ctx, sum.Size, sum.Root.String())
	if err != nil {
		return Summary{}, err
	}
	if err := i.compare(ctx, to.At()); err != nil {
		return Summary{}, err
	}
	if err := i.fill(ctx, to); err != nil {
		return Summary{}, err
	}
	return sum, i.readBack(ctx, sum)
}

// compare looks whether what an earlier import stored is of this file.
func (i Import) compare(ctx context.Context, at uint64) error {
	if at == 0 {
		return nil
	}
	var stored merkle.Frontier
	for r, err := range i.live().Records(ctx, 0) {
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		stored.Append(merkle.LeafOf(r))
	}
	var file merkle.Frontier
	for r, err := range i.File.Records(ctx, 0) {
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		if r.Sequence > at {
			break
		}
		file.Append(merkle.LeafOf(r))
	}
	if stored.Size() != at || stored.Root() != file.Root() {
		return fmt.Errorf("import: %w: its first %d records are not those of the export: somebody else has appended to it: delete its stream, and import again", eventlog.ErrNotEmpty, at)
	}
	return nil
}

func (i Import) live() Live { return Live{Log: i.Bus.Log(), Get: i.Bus.GetInventory} }

func (i Import) fill(ctx context.Context, to *eventlog.Import) error {
	var page []eventlog.Record
	for r, err := range i.File.Records(ctx, 0) {
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		// Again where it was interrupted: to store a text twice changes nothing.
		if err := i.inventory(ctx, r); err != nil {
			return err
		}
		if r.Sequence <= to.At() {
			continue
		}
		if page = append(page, r); len(page) < importPage {
			continue
		}
		if err := i.append(ctx, to, page); err != nil {
			return err
		}
		page = page[:0]
	}
	return i.append(ctx, to, page)
}

func (i Import) append(ctx context.Context, to *eventlog.Import, page []eventlog.Record) error {
	if err := to.Append(ctx, page); err != nil {
		return err
	}
	if i.Progress != nil {
		i.Progress(to.At())
	}
	return nil
}

// inventory stores the text that a record puts into force before the record.
func (i Import) inventory(ctx context.Context, r eventlog.Record) error {
	digest, ok := appliedBy(i.File.Subjects(), r)
	if !ok {
		return nil
	}
	text, err := i.File.Inventory(ctx, digest)
	switch {
	case errors.Is(err, eventlog.ErrNoInventory):
		return nil // it was missing where the export comes from, too
	case err != nil:
		return fmt.Errorf("import inventory of sequence %d: %w", r.Sequence, err)
	}
	if _, err := i.Bus.PutInventory(ctx, text); err != nil {
		return fmt.Errorf("import inventory of sequence %d: %w", r.Sequence, err)
	}
	return nil
}

func (i Import) readBack(ctx context.Context, sum Summary) error {
	var tree merkle.Frontier
	for r, err := range i.live().Records(ctx, 0) {
		if err != nil {
			return fmt.Errorf("read back what was imported: %w", err)
		}
		if r.Sequence > sum.Size {
			break // whoever was let in by now appends behind it
		}
		tree.Append(merkle.LeafOf(r))
	}
	if tree.Size() != sum.Size || tree.Root() != sum.Root {
		return fmt.Errorf("read back what was imported: the log has root %s at sequence %d, not %s at %d", tree.Root(), tree.Size(), sum.Root, sum.Size)
	}
	return nil
}
