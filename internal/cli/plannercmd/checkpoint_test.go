package plannercmd

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/tamper"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/merkle"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

func TestThePlannerSignsTheLogAndHandsThatOn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	folder := t.TempDir()
	keys := filepath.Join(folder, "keys")
	if _, err := merkle.CreateKey(keys, "fleet.example"); err != nil {
		t.Fatal(err)
	}
	public, err := merkle.LoadVerifier(filepath.Join(keys, merkle.PublicFile))
	if err != nil {
		t.Fatal(err)
	}
	file, heard := filepath.Join(folder, "newest"), filepath.Join(folder, "heard")
	p := startOn(ctx, t, serve(t, natsd.Options{}), oneNode, "--checkpoint-key", filepath.Join(keys, merkle.KeyFile),
		"--checkpoint-every", "2", "--checkpoint-file", file, "--checkpoint-command", "tee "+heard)
	signed := p.next(events.TypeCheckpointSigned).Data.(*events.CheckpointSigned)
	c, err := merkle.Open([]byte(signed.Note), public)
	if err != nil || c.Size != signed.Size || c.Origin != "fleet.example" {
		t.Errorf("signed %+v, %v", c, err)
	}
	p.log.Wait(ctx, t, "checkpoint handed on")
	p.stop()
	for _, path := range []string{file, heard} {
		if note, err := os.ReadFile(path); err != nil || string(note) != signed.Note {
			t.Errorf("%s: %q, %v", path, note, err)
		}
	}
}

func TestMisuseOfCheckpointsIsSaidBeforeAnythingIsConnected(t *testing.T) {
	folder := t.TempDir()
	key := tamper.NewKey(t, "x")
	open := filepath.Join(folder, "open.key")
	if err := os.WriteFile(open, []byte(key.Name()), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"never":                       {[]string{"--checkpoint-every", "0"}, cli.ExitUsage, "--checkpoint-every is 0, must be 1 to 10000000"},
		"a file without a key":        {[]string{"--checkpoint-file", "x"}, cli.ExitUsage, "--checkpoint-file is given without --checkpoint-key"},
		"a command without a key":     {[]string{"--checkpoint-command", "x"}, cli.ExitUsage, "--checkpoint-command is given without --checkpoint-key"},
		"a command without a word":    {[]string{"--checkpoint-key", "x", "--checkpoint-command", " "}, cli.ExitUsage, "no word"},
		"a file in no folder":         {[]string{"--checkpoint-key", "x", "--checkpoint-file", filepath.Join(folder, "none", "x")}, cli.ExitUsage, "is no folder"},
		"a key that is not there":     {[]string{"--checkpoint-key", filepath.Join(folder, "none")}, cli.ExitFailure, "no such file"},
		"a key that others can read":  {[]string{"--checkpoint-key", open}, cli.ExitFailure, "chmod 600"},
		"a folder in place of a file": {[]string{"--checkpoint-key", folder}, cli.ExitFailure, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			var errs bytes.Buffer
			cmd := New()
			cmd.SetArgs(append([]string{"--nats", "nats://127.0.0.1:1"}, c.args...))
			cmd.SetOut(io.Discard)
			cmd.SetErr(&errs)
			if code := cli.Run(t.Context(), cmd); code != c.code || !strings.Contains(errs.String(), c.want) {
				t.Errorf("exit code %d, %s", code, errs.String())
			}
		})
	}
}
