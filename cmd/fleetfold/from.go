package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	signednote "golang.org/x/mod/sumdb/note"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/checkpoint"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// exitNotProved is the exit code of what was looked at and does not hold.
const exitNotProved = 3

// notProved gives faults and whatever else does not hold their exit code.
func notProved(err error) error {
	var fault *archive.Fault
	if errors.As(err, &fault) || errors.Is(err, archive.ErrNotProved) || errors.Is(err, merkle.ErrSignature) {
		return cli.Exit{Code: exitNotProved, Err: err}
	}
	return err
}

// believed are keys and checkpoints that a history is verified against.
type believed struct {
	keys, checkpoints []string
}

func (b *believed) addKeys(fs *pflag.FlagSet) {
	fs.StringArrayVar(&b.keys, "key", nil, "`FILE` with the public key that checkpoints must be signed with; may be given several times")
}

func (b *believed) addCheckpoints(fs *pflag.FlagSet) {
	fs.StringArrayVar(&b.checkpoints, "checkpoint", nil, "`FILE` with a checkpoint that was kept elsewhere, which the records must match; may be given several times")
}

func (b *believed) options() (archive.Options, error) {
	var o archive.Options
	for _, path := range b.keys {
		key, err := merkle.LoadVerifier(path)
		if err != nil {
			return o, err
		}
		o.Keys = append(o.Keys, key)
	}
	for _, path := range b.checkpoints {
		c, _, err := readCheckpoint(path, o.Keys)
		if err != nil {
			return o, err
		}
		o.Kept = append(o.Kept, c)
	}
	return o, nil
}

// readCheckpoint reads a signed note, and verifies it where there are keys.
func readCheckpoint(path string, keys []signednote.Verifier) (merkle.Checkpoint, []byte, error) {
	signed, err := readSmall(path, merkle.MaxNoteBytes)
	if err != nil {
		return merkle.Checkpoint{}, nil, fmt.Errorf("read checkpoint: %w", err)
	}
	c, err := merkle.Read(signed)
	if err == nil && len(keys) > 0 {
		c, err = merkle.Open(signed, keys...)
	}
	if err != nil {
		return c, nil, notProved(fmt.Errorf("%s: %w", path, err))
	}
	return c, signed, nil
}

// readSmall reads a file of at most that many bytes.
func readSmall(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return text, err
}

// openExport opens a file that "export" wrote; - is standard input.
func openExport(cmd *cobra.Command, name string, o archive.Options) (*archive.File, error) {
	if name == stdin {
		f, err := archive.Spool(cmd.InOrStdin(), o)
		return f, notProved(err)
	}
	f, err := archive.Open(name, o)
	return f, notProved(err)
}

// history is where a command reads records: a log, or an export in place of it.
type history struct {
	archive.Source
	// newest is the newest checkpoint that stands on it; nil for none.
	newest func(context.Context) ([]byte, error)
	// last is the sequence of its last record.
	last  func(context.Context) (uint64, error)
	close func()
}

// historyFlags say where.
type historyFlags struct {
	nats cli.NATSFlags
	from string
}

func (f *historyFlags) addTo(fs *pflag.FlagSet) {
	f.nats.AddTo(fs)
	fs.StringVar(&f.from, "from", "", "read the export in `FILE` in place of a server, - for standard input")
}

func (f *historyFlags) open(cmd *cobra.Command, o archive.Options) (*history, error) {
	if f.from == "" {
		return f.live(cmd)
	}
	file, err := openExport(cmd, f.from, o)
	if err != nil {
		return nil, err
	}
	h := &history{Source: file, close: func() { _ = file.Close() }} // it was only read
	var sum archive.Summary
	verify := func(ctx context.Context) error {
		if sum.Size > 0 {
			return nil
		}
		sum, err = file.Verify(ctx)
		return notProved(err)
	}
	h.newest = func(ctx context.Context) ([]byte, error) {
		err := verify(ctx)
		return []byte(sum.Note), err
	}
	h.last = func(ctx context.Context) (uint64, error) {
		err := verify(ctx)
		return sum.Size, err
	}
	return h, nil
}

func (f *historyFlags) live(cmd *cobra.Command) (*history, error) {
	bus, err := connect(cmd.Context(), cmd, &f.nats)
	if err != nil {
		return nil, err
	}
	return &history{
		Source: archive.Live{Log: bus.Log(), Get: bus.GetInventory},
		newest: func(ctx context.Context) ([]byte, error) {
			s, _, err := checkpoint.Newest(ctx, bus.Log())
			return s.Note, err
		},
		last:  bus.Log().Last,
		close: bus.Close,
	}, nil
}

// maxEventLine bounds the line of one record.
const maxEventLine = 512 << 20

func readLine(cmd *cobra.Command, name string) ([]byte, error) {
	if name == stdin {
		return io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxEventLine))
	}
	return readSmall(name, maxEventLine)
}
