package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/archive"
)

type exportFlags struct {
	nats  cli.NATSFlags
	since uint64
	out   string
}

func newExport() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export [--since SEQ] [--out FILE]",
		Short: "Write the log, with its inventories, to a file that tells when it is changed",
		Long: `Write the log to a file of JSON lines: every record as it is, with its sequence
and time, each inventory before the record that applies it, and at the end the
root of the Merkle tree over all and the newest checkpoint. The same log gives the
same file. Join tokens, snapshots and keys of issuers are not part of it.

With --since, the file is a part that begins behind that sequence. Parts make a
whole when they are put behind one another. What was interrupted is such a part,
and the next one can begin behind it. The log is read from its first record all
the same, for root and chain follow from all of it.

'fleetfold import' fills an empty system with it, and 'fleetfold proof' proves what
is in it.`,
		Example: `  fleetfold export > log.jsonl
  fleetfold export --since 120000 >> log.jsonl
  fleetfold export --out /backup/log.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.nats.AddTo(cmd.Flags())
	cmd.Flags().Uint64Var(&f.since, "since", 0, "begin behind this `SEQ`, 0 or more and not above the last of the log: the part that follows on a file that ends there")
	cmd.Flags().StringVar(&f.out, "out", "", "`FILE` to write, which must not exist; without it standard output")
	return cmd
}

func (f *exportFlags) run(cmd *cobra.Command) error {
	if f.out != "" {
		if _, err := os.Lstat(f.out); err == nil {
			return fmt.Errorf("write %s: it is there already: name another file, or move it away", f.out)
		}
	}
	bus, err := connect(cmd.Context(), cmd, &f.nats)
	if err != nil {
		return err
	}
	defer bus.Close()
	last, err := bus.Log().Last(cmd.Context())
	if err != nil {
		return err
	}
	if f.since > last {
		return fmt.Errorf("--since is %d, but the log ends at sequence %d", f.since, last)
	}
	p := newProgress(cmd.ErrOrStderr(), "exported", last)
	e := archive.Export{
		Source: archive.Live{Log: bus.Log(), Get: bus.GetInventory}, Subjects: bus.Log().Subjects(),
		Since: f.since, Until: last, Progress: p.at,
	}
	sum, err := f.write(cmd, e)
	p.end()
	return f.tell(cmd, sum, err)
}

func (f *exportFlags) write(cmd *cobra.Command, e archive.Export) (archive.Summary, error) {
	if f.out == "" {
		return e.Write(cmd.Context(), cmd.OutOrStdout())
	}
	var sum archive.Summary
	var stopped error
	err := createWhole(f.out, func(w io.Writer) error {
		var err error
		sum, err = e.Write(cmd.Context(), w)
		if errors.Is(err, context.Canceled) && sum.Root != (archive.Summary{}).Root {
			stopped, err = err, nil // what there is, is a file of its own
		}
		return err
	})
	return sum, errors.Join(err, stopped)
}

// tell says on standard error what a person needs to know beside the file.
func (f *exportFlags) tell(cmd *cobra.Command, sum archive.Summary, err error) error {
	written := sum.Root != (archive.Summary{}).Root
	switch {
	case err != nil && written:
		cmd.PrintErrf("interrupted; what is written ends at sequence %d and is whole up to there\nhint: go on with --since %d, and put that part behind this one\n", sum.Size, sum.Size)
		return err
	case err != nil:
		return err
	}
	for _, digest := range sum.Missing {
		cmd.PrintErrf("warning: inventory %s is not stored: the export says that it is missing\n", digest)
	}
	if f.out != "" {
		fmt.Fprintf(cmd.OutOrStdout(), "exported %s to %s\n%s", render.Count(int(sum.Size-sum.After), "record"), f.out, extent(sum))
	}
	return nil
}

// extent says what a file, or a log, is.
func extent(sum archive.Summary) string {
	text := fmt.Sprintf("sequence    %d\nroot        %s\n", sum.Size, sum.Root)
	if sum.Checkpoint.Size == 0 {
		return text + "checkpoint  none\n"
	}
	return text + fmt.Sprintf("checkpoint  of %s, up to sequence %d\n", sum.Checkpoint.Origin, sum.Checkpoint.Size)
}

// createWhole makes a file that is not there yet, of which nobody sees a part.
func createWhole(path string, write func(io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = write(tmp)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		// Unlike a rename, a link takes the place of nothing.
		if err = os.Link(tmp.Name(), path); err != nil {
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}
	return errors.Join(err, os.Remove(tmp.Name()))
}

// counter tells a person how far something is. Where nobody looks it is silent.
type counter struct {
	w     io.Writer
	what  string
	until uint64
	shown time.Time
}

// counterPause is between two lines, so that a terminal is not what takes time.
const counterPause = 200 * time.Millisecond

func newProgress(w io.Writer, what string, end uint64) *counter {
	f, ok := w.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) {
		w = nil
	}
	return &counter{w: w, what: what, until: end, shown: time.Now()}
}

func (c *counter) at(seq uint64) {
	if c.w == nil || time.Since(c.shown) < counterPause {
		return
	}
	c.shown = time.Now()
	fmt.Fprintf(c.w, "\r\x1b[K%s %d", c.what, seq)
	if c.until > 0 {
		fmt.Fprintf(c.w, " of %d", c.until)
	}
}

func (c *counter) end() {
	if c.w != nil {
		fmt.Fprint(c.w, "\r\x1b[K")
	}
}
