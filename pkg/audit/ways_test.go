package audit_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/fleetfold/fleetfold/internal/tamper"
	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// An export that was tampered with in any of the known ways is found out by an
// audit, too, with what is needed to know for it and no more.
func TestAnAuditFindsATamperedExport(t *testing.T) {
	s := tamper.Tell(t)
	foul := func(file []byte, o audit.Options) bool {
		t.Helper()
		f, err := archive.Spool(bytes.NewReader(file), archive.Options{})
		var fault *archive.Fault
		if errors.As(err, &fault) {
			return true
		}
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		report, err := audit.Run(t.Context(), f, o)
		if errors.Is(err, archive.ErrPart) {
			return true
		}
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(report.Mismatches, func(d audit.Difference) bool {
			return d.What == audit.WhatFile || d.What == audit.WhatCheckpoint || d.What == audit.WhatSequence
		})
	}
	for _, w := range tamper.Ways {
		t.Run(w.Name, func(t *testing.T) {
			o := knowing(s, w.Needs)
			if foul(s.File(t), o) {
				t.Fatal("the file is found wrong before it was changed")
			}
			if file, _, _ := w.Apply(t, s); !foul(file, o) {
				t.Error("nothing was found")
			}
		})
	}
}

// knowing are the options of an auditor who knows that much of the story.
func knowing(s *tamper.Story, k tamper.Knowledge) (o audit.Options) {
	if k >= tamper.Key {
		o.Keys = []note.Verifier{s.Key.Public}
	}
	if k >= tamper.KeyAndKept {
		o.Checkpoints = []merkle.Checkpoint{s.Early}
	}
	return o
}
