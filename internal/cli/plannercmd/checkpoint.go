package plannercmd

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/checkpoint"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// maxCheckpointEvery bounds how long nothing is signed.
const maxCheckpointEvery = 10_000_000

// checkpointFlags say whether and how the log is signed.
type checkpointFlags struct {
	key, file, command string
	every              uint64
	loaded             *merkle.Key
}

func (f *checkpointFlags) addTo(fs *pflag.FlagSet) {
	fs.StringVar(&f.key, "checkpoint-key", "", "`FILE` that \"fleetfold checkpoint key\" made, to sign what the log is; without it nothing is signed")
	fs.Uint64Var(&f.every, "checkpoint-every", 1000, "sign after `N` further records, 1 to 10000000")
	fs.StringVar(&f.file, "checkpoint-file", "", "`FILE` to replace by the newest checkpoint, best where nobody can write who could change the log")
	fs.StringVar(&f.command, "checkpoint-command", "", "`COMMAND` with its arguments, split at white space, that gets each checkpoint on standard input, at least once, and may take ten seconds")
}

func (f *checkpointFlags) check() error {
	switch {
	case f.every < 1 || f.every > maxCheckpointEvery:
		return cli.Usagef("--checkpoint-every is %d, must be 1 to %d", f.every, maxCheckpointEvery)
	case f.key == "" && f.file != "":
		return cli.Usagef("--checkpoint-file is given without --checkpoint-key")
	case f.key == "" && f.command != "":
		return cli.Usagef("--checkpoint-command is given without --checkpoint-key")
	case f.command != "" && len(strings.Fields(f.command)) == 0:
		return cli.Usagef("--checkpoint-command has no word")
	}
	if f.file != "" {
		if info, err := os.Stat(filepath.Dir(f.file)); err != nil || !info.IsDir() {
			return cli.Usagef("--checkpoint-file %s: %s is no folder", f.file, filepath.Dir(f.file))
		}
	}
	return nil
}

// load reads the key before anything is connected.
func (f *checkpointFlags) load() error {
	if f.key == "" {
		return nil
	}
	key, err := merkle.LoadKey(f.key)
	if err != nil {
		return err
	}
	f.loaded = &key
	return nil
}

// keeper is nil without a key.
func (f *checkpointFlags) keeper(log eventlog.Log, metrics *checkpoint.Metrics, logger zerolog.Logger) func(context.Context) error {
	if f.loaded == nil {
		return nil
	}
	handOn := make(map[string]func(context.Context, []byte) error)
	if f.file != "" {
		handOn["file"] = checkpoint.ToFile(f.file)
	}
	if argv := strings.Fields(f.command); len(argv) > 0 {
		handOn["command"] = checkpoint.ToCommand(argv)
	}
	return checkpoint.NewKeeper(checkpoint.Config{
		Log: log, Key: *f.loaded, Every: f.every, HandOn: handOn, Metrics: metrics, Logger: logger,
	}).Run
}
