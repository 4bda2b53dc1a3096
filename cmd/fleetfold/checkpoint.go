package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/checkpoint"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

func newCheckpoint() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Sign what the log is, and find out whether it still is",
		Long: `Sign what the log is, and find out whether it still is.

A checkpoint is the root of the Merkle tree over the log up to a sequence, signed.
Whoever keeps one finds out whether a log, or an export, still begins with what was
signed. Keep some where nobody can write who could change the log.

  fleetfold checkpoint key --name fleet.example --out keys   (once)
  planner --checkpoint-key keys/checkpoint.key ...           (signs from then on)
  fleetfold checkpoint show -o note > kept.note              (keep that elsewhere)
  fleetfold checkpoint verify --key keys/checkpoint.pub --checkpoint kept.note`,
		Example: "  fleetfold checkpoint verify --key checkpoint.pub --checkpoint kept.note",
	}
	cmd.AddCommand(newCheckpointKey(), newCheckpointCreate(), newCheckpointShow(), newCheckpointVerify())
	return cmd
}

func newCheckpointKey() *cobra.Command {
	var out, name string
	cmd := &cobra.Command{
		Use:   "key --name FLEET --out DIR",
		Short: "Make the pair of keys that checkpoints are signed and verified with",
		Long: `Make the pair of keys that checkpoints are signed and verified with, Ed25519 in the
format of signed notes:

  DIR/checkpoint.key   signs; its mode is 0600, and only planners need it
  DIR/checkpoint.pub   verifies; give it to everybody who shall

The name is that of the log, and stands in every checkpoint: choose one that no
other fleet of yours has.`,
		Example: "  fleetfold checkpoint key --name fleet.example --out keys",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case out == "":
				return cli.Usagef("--out is required: the folder for the keys")
			case name == "":
				return cli.Usagef("--name is required: the name of the log")
			}
			if err := merkle.CheckName(name); err != nil {
				return cli.Usagef("--name: %w", err)
			}
			public, err := merkle.CreateKey(out, name)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "created  %s\ncreated  %s\n%s\n", filepath.Join(out, merkle.KeyFile), filepath.Join(out, merkle.PublicFile), public)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`DIR` for the two files, made where it is missing (required)")
	cmd.Flags().StringVar(&name, "name", "", "`NAME` of the log, 1 to 255 bytes without spaces and + (required)")
	return cmd
}

func newCheckpointCreate() *cobra.Command {
	var nats cli.NATSFlags
	var path string
	cmd := &cobra.Command{
		Use:   "create --key FILE",
		Short: "Sign what the log is now, and print the checkpoint",
		Long: `Sign what the log is now, append that to the log, and print it. Where nothing but
checkpoints came since the newest one of that key, that one is printed.`,
		Example: "  fleetfold checkpoint create --key keys/checkpoint.key > kept.note",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return createCheckpoint(cmd, &nats, path) },
	}
	nats.AddTo(cmd.Flags())
	cmd.Flags().StringVar(&path, "key", "", "`FILE` with the key that signs (required)")
	return cmd
}

func createCheckpoint(cmd *cobra.Command, nats *cli.NATSFlags, path string) error {
	if path == "" {
		return cli.Usagef("--key is required: the file that signs")
	}
	key, err := merkle.LoadKey(path)
	if err != nil {
		return err
	}
	bus, err := connect(cmd.Context(), cmd, nats)
	if err != nil {
		return err
	}
	defer bus.Close()
	s, made, err := checkpoint.Create(cmd.Context(), bus.Log(), key, events.SourceOperator, time.Now())
	if err != nil {
		return notProved(err)
	}
	if !made {
		cmd.PrintErrf("nothing came since sequence %d was signed\n", s.Size)
	}
	_, err = cmd.OutOrStdout().Write(s.Note)
	return err
}

func newCheckpointShow() *cobra.Command {
	var f historyFlags
	var b believed
	var output *string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the newest checkpoint on the log, and how far it goes",
		Long: `Show the newest checkpoint on the log, and how far it goes. With --key its signature
is verified; whether the records are those that were signed says 'checkpoint verify'.`,
		Example: `  fleetfold checkpoint show
  fleetfold checkpoint show --key checkpoint.pub -o note > kept.note`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return showCheckpoint(cmd, &f, &b, *output) },
	}
	f.addTo(cmd.Flags())
	b.addKeys(cmd.Flags())
	output = addOutput(cmd.Flags(), "output `FORMAT`; note is what others verify", "text", "json", "note")
	return cmd
}

var errNoCheckpoint = cli.WithHint(errors.New("no checkpoint stands on the log"), "'fleetfold checkpoint create' signs what it is, planners with --checkpoint-key do so as it grows")

func showCheckpoint(cmd *cobra.Command, f *historyFlags, b *believed, output string) error {
	o, err := b.options()
	if err != nil {
		return err
	}
	h, err := f.open(cmd, archive.Options{})
	if err != nil {
		return err
	}
	defer h.close()
	c, signed, err := h.checkpoint(cmd.Context(), o)
	if err != nil {
		return err
	}
	last, err := h.last(cmd.Context())
	if err != nil {
		return err
	}
	shown := shownCheckpoint{c.Origin, c.Size, c.Root, len(o.Keys) > 0, last, string(signed)}
	return shown.print(cmd.OutOrStdout(), output)
}

// shownCheckpoint is a checkpoint, and how far the log goes by now.
type shownCheckpoint struct {
	Origin   string      `json:"origin"`
	Size     uint64      `json:"size"`
	Root     merkle.Hash `json:"root"`
	Verified bool        `json:"signature_verified"`
	Last     uint64      `json:"last_sequence"`
	Note     string      `json:"note"`
}

func (s shownCheckpoint) print(w io.Writer, output string) error {
	switch output {
	case "note":
		_, err := io.WriteString(w, s.Note)
		return err
	case "json":
		return render.JSON(w, s)
	}
	signature := "not verified: give --key"
	if s.Verified {
		signature = "verified"
	}
	behind := render.Count(int(s.Last-min(s.Last, s.Size)), "record")
	_, err := fmt.Fprintf(w, "origin      %s\nsequence    %d\nroot        %s\nsignature   %s\nnot signed  %s behind it\n", s.Origin, s.Size, s.Root, signature, behind)
	return err
}

// checkpoint is the newest one on the log, verified where there are keys.
func (h *history) checkpoint(ctx context.Context, o archive.Options) (merkle.Checkpoint, []byte, error) {
	signed, err := h.newest(ctx)
	switch {
	case err != nil:
		return merkle.Checkpoint{}, nil, err
	case len(signed) == 0:
		return merkle.Checkpoint{}, nil, errNoCheckpoint
	}
	c, err := merkle.Read(signed)
	if err == nil && len(o.Keys) > 0 {
		c, err = merkle.Open(signed, o.Keys...)
	}
	return c, signed, notProved(err)
}

func newCheckpointVerify() *cobra.Command {
	var f historyFlags
	var b believed
	var path string
	cmd := &cobra.Command{
		Use:   "verify --key FILE",
		Short: "Find out whether the log is what a checkpoint says",
		Long: `Find out whether the log, or an export, is what a checkpoint says: whether it is
signed by a key that is believed, and whether the records up to its sequence have
its root. Without --checkpoint it is the newest one on the log, which finds
nothing where somebody has the key and signed another history.

Exit code 0: it is. 3: it is not. 1: it could not be found out.`,
		Example: `  fleetfold checkpoint verify --key checkpoint.pub --checkpoint kept.note
  fleetfold checkpoint verify --key checkpoint.pub --checkpoint kept.note --from log.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return verifyCheckpoint(cmd, &f, &b, path) },
	}
	f.addTo(cmd.Flags())
	b.addKeys(cmd.Flags())
	cmd.Flags().StringVar(&path, "checkpoint", "", "`FILE` with the checkpoint, as 'checkpoint show -o note' prints it; without it the newest on the log")
	return cmd
}

func verifyCheckpoint(cmd *cobra.Command, f *historyFlags, b *believed, path string) error {
	if len(b.keys) == 0 {
		return cli.Usagef("--key is required: without one, a checkpoint says what anybody wrote")
	}
	o, err := b.options()
	if err != nil {
		return err
	}
	var c merkle.Checkpoint
	if path != "" {
		if c, _, err = readCheckpoint(path, o.Keys); err != nil {
			return err
		}
		o.Kept = append(o.Kept, c)
	}
	h, err := f.open(cmd, o)
	if err != nil {
		return err
	}
	defer h.close()
	if path == "" {
		if c, _, err = h.checkpoint(cmd.Context(), o); err != nil {
			return err
		}
	}
	// A proof about nothing compares the roots.
	_, err = archive.ProveConsistency(cmd.Context(), h, archive.Tree{}, archive.Tree{Size: c.Size, Root: c.Root})
	if err != nil {
		return notProved(err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "the log is what %s signed, up to sequence %d\n", c.Origin, c.Size)
	return err
}
