package archive_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/fleetfold/fleetfold/internal/tamper"
	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// knowing are the options of a reader with that knowledge of the story.
func knowing(s *tamper.Story, k tamper.Knowledge) archive.Options {
	var o archive.Options
	if k >= tamper.Key {
		o.Keys = []note.Verifier{s.Key.Public}
	}
	if k >= tamper.KeyAndKept {
		o.Kept = []merkle.Checkpoint{s.Early}
	}
	return o
}

func verify(t *testing.T, file []byte, o archive.Options) (archive.Summary, error) {
	t.Helper()
	f, err := archive.Spool(bytes.NewReader(file), o)
	if err != nil {
		return archive.Summary{}, err
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	sum, err := f.Verify(t.Context())
	// Whoever reads the records finds the same.
	var read error
	n := 0
	for _, err := range f.Records(t.Context(), f.Header().After) {
		read = err
		n++
	}
	if (read == nil) != (err == nil) || err != nil && read.Error() != err.Error() {
		t.Errorf("verified: %v; read: %v", err, read)
	}
	if err == nil && uint64(n) != sum.Size-sum.After {
		t.Errorf("read %d records of %d", n, sum.Size)
	}
	return sum, err
}

func TestTamperingIsFoundWithItsPlace(t *testing.T) {
	if len(tamper.Ways) < 20 {
		t.Errorf("%d ways", len(tamper.Ways))
	}
	s := tamper.Tell(t)
	for k := tamper.Nothing; k <= tamper.KeyAndKept; k++ {
		if _, err := verify(t, s.File(t), knowing(s, k)); err != nil {
			t.Fatalf("the file itself: %v", err)
		}
	}
	for _, w := range tamper.Ways {
		t.Run(w.Name, func(t *testing.T) {
			file, line, seq := w.Apply(t, s)
			for k := w.Needs; k <= tamper.KeyAndKept; k++ {
				_, err := verify(t, file, knowing(s, k))
				var fault *archive.Fault
				if !errors.As(err, &fault) {
					t.Fatalf("not found: %v", err)
				}
				if k > w.Needs {
					continue // who knows more may find it earlier
				}
				if fault.Line != line || fault.Sequence != seq || !strings.Contains(err.Error(), w.Says) {
					t.Errorf("want line %d, sequence %d: …%s…\ngot %v", line, seq, w.Says, err)
				}
			}
			if w.Needs > tamper.Nothing {
				if _, err := verify(t, file, knowing(s, w.Needs-1)); err != nil {
					t.Errorf("found without what it takes: %v", err)
				}
			}
		})
	}
}
