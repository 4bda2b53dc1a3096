package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

func newProof() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "proof",
		Short: "Prove a record, or that the log only grew, to whoever has neither",
		Long: `Prove a record, or that the log only grew, to whoever has neither server nor log.
A proof is a few hundred bytes; 'proof verify' needs it, the public key, and
nothing else.`,
		Example: `  fleetfold proof event 4711 > proof.json
  fleetfold proof verify proof.json --key checkpoint.pub`,
	}
	cmd.AddCommand(newProofEvent(), newProofConsistency(), newProofVerify())
	return cmd
}

func newProofEvent() *cobra.Command {
	var f historyFlags
	var path string
	cmd := &cobra.Command{
		Use:   "event SEQ",
		Short: "Prove that a record is in the log that a checkpoint signed",
		Long: `Prove that the record with this sequence is in the log that a checkpoint signed:
the newest on the log, or that of --checkpoint.`,
		Example: `  fleetfold proof event 4711 > proof.json
  fleetfold proof event 4711 --from log.jsonl --checkpoint kept.note > proof.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			seq, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil || seq == 0 {
				return cli.Usagef("%q is not a sequence: a number from 1", args[0])
			}
			return proveEvent(cmd, &f, seq, path)
		},
	}
	f.addTo(cmd.Flags())
	cmd.Flags().StringVar(&path, "checkpoint", "", "`FILE` with the checkpoint; without it the newest on the log")
	return cmd
}

func proveEvent(cmd *cobra.Command, f *historyFlags, seq uint64, path string) error {
	var tree archive.Tree
	if path != "" {
		_, signed, err := readCheckpoint(path, nil)
		if err != nil {
			return err
		}
		if tree, err = archive.TreeOf(signed); err != nil {
			return err
		}
	}
	h, err := f.open(cmd, archive.Options{})
	if err != nil {
		return err
	}
	defer h.close()
	if path == "" {
		_, signed, err := h.checkpoint(cmd.Context(), archive.Options{})
		if err != nil {
			return err
		}
		if tree, err = archive.TreeOf(signed); err != nil {
			return err
		}
	}
	if seq > tree.Size {
		return cli.WithHint(fmt.Errorf("the checkpoint goes up to sequence %d, not to %d", tree.Size, seq),
			"'fleetfold checkpoint create' signs what the log is now")
	}
	p, err := archive.ProveRecord(cmd.Context(), h, seq, tree)
	if err != nil {
		return notProved(err)
	}
	return render.JSON(cmd.OutOrStdout(), p)
}

func newProofConsistency() *cobra.Command {
	var f historyFlags
	cmd := &cobra.Command{
		Use:   "consistency OLD NEW",
		Short: "Prove that the log at NEW begins with what it was at OLD",
		Long: `Prove that the log at NEW begins with what it was at OLD. Each is a file with a
checkpoint, or a sequence. A log that is not what a checkpoint says proves nothing:
exit code 3, and the sequence.`,
		Example: `  fleetfold proof consistency kept.note newest.note > proof.json
  fleetfold proof consistency 1000 2000 --from log.jsonl`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return proveConsistency(cmd, &f, args[0], args[1])
		},
	}
	f.addTo(cmd.Flags())
	return cmd
}

func proveConsistency(cmd *cobra.Command, f *historyFlags, older, newer string) error {
	old, err := treeNamed(older)
	if err != nil {
		return err
	}
	tree, err := treeNamed(newer)
	if err != nil {
		return err
	}
	if old.Size > tree.Size {
		return cli.Usagef("OLD is of sequence %d, behind %d of NEW: the older one comes first", old.Size, tree.Size)
	}
	h, err := f.open(cmd, archive.Options{})
	if err != nil {
		return err
	}
	defer h.close()
	p, err := archive.ProveConsistency(cmd.Context(), h, old, tree)
	if err != nil {
		return notProved(err)
	}
	return render.JSON(cmd.OutOrStdout(), p)
}

// treeNamed is a checkpoint in a file, or just a size.
func treeNamed(name string) (archive.Tree, error) {
	if size, err := strconv.ParseUint(name, 10, 64); err == nil {
		if size > merkle.MaxSize {
			return archive.Tree{}, cli.Usagef("sequence %d is above %d", size, uint64(merkle.MaxSize))
		}
		return archive.Tree{Size: size}, nil
	}
	_, signed, err := readCheckpoint(name, nil)
	if err != nil {
		return archive.Tree{}, err
	}
	return archive.TreeOf(signed)
}

func newProofVerify() *cobra.Command {
	var b believed
	var event string
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Say whether a proof holds, with no server and no log",
		Long: `Say whether a proof holds, with no server and no log; - is standard input. With
--key, what it is about must be signed by that key. Without one, a proof shows only
that it fits together.

Exit code 0: it holds. 3: it does not. 1: it could not be read.`,
		Example: `  fleetfold proof verify proof.json --key checkpoint.pub
  sed -n 42p log.jsonl | fleetfold proof verify proof.json --event - --key checkpoint.pub`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return verifyProof(cmd, &b, args[0], event) },
	}
	b.addKeys(cmd.Flags())
	cmd.Flags().StringVar(&event, "event", "", "`FILE` with the line of an export that the proof must be about, - for standard input")
	return cmd
}

func verifyProof(cmd *cobra.Command, b *believed, name, event string) error {
	o, err := b.options()
	if err != nil {
		return err
	}
	if name == stdin && event == stdin {
		return cli.Usagef("FILE and --event are both standard input")
	}
	p, err := readProof(cmd, name)
	if err != nil {
		return err
	}
	if event != "" {
		if err := sameEvent(cmd, p, event); err != nil {
			return err
		}
	}
	if err := p.Verify(o.Keys...); err != nil {
		return notProved(err)
	}
	return tellProof(cmd, p, len(o.Keys) > 0)
}

func readProof(cmd *cobra.Command, name string) (archive.Proof, error) {
	if name == stdin {
		return archive.ReadProof(cmd.InOrStdin())
	}
	f, err := os.Open(name)
	if err != nil {
		return archive.Proof{}, err
	}
	defer f.Close()
	return archive.ReadProof(f)
}

// sameEvent demands that the proof is about that very line.
func sameEvent(cmd *cobra.Command, p archive.Proof, name string) error {
	line, err := readLine(cmd, name)
	if err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	r, err := archive.ParseRecord(line)
	if err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	if p.Old != nil {
		return notProved(fmt.Errorf("%w: the proof is about the growth of the log, and of no record", archive.ErrNotProved))
	}
	proved, err := p.Event()
	if err != nil {
		return notProved(fmt.Errorf("%w: %w", archive.ErrNotProved, err))
	}
	if merkle.LeafOf(proved) != merkle.LeafOf(r) {
		return notProved(fmt.Errorf("%w: the proof is about another record: its sequence is %d, that of the event %d", archive.ErrNotProved, proved.Sequence, r.Sequence))
	}
	return nil
}

func tellProof(cmd *cobra.Command, p archive.Proof, signed bool) error {
	text := fmt.Sprintf("the log at sequence %d, root %s", p.Tree.Size, p.Tree.Root)
	if p.Old != nil {
		text += fmt.Sprintf(", begins with what it was at sequence %d, root %s", p.Old.Size, p.Old.Root)
	} else {
		r, err := p.Event()
		if err != nil {
			return err
		}
		text += fmt.Sprintf(", has record %d on %s", r.Sequence, r.Message.Subject)
	}
	if !signed {
		text += "\nnobody's signature was verified: give --key"
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}
