package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/pkg/inventory"
	"github.com/fleetfold/fleetfold/pkg/planner"
)

// stdin is the file name that stands for standard input.
const stdin = "-"

const hintUnreadable = "name a file that exists and that you may read, or - for standard input"

// input returns a function that reads the named file, or standard input. Its
// error leaves out the name, which stands in front of every problem already.
func input(cmd *cobra.Command, name string) func() ([]byte, error) {
	return func() ([]byte, error) {
		if name == stdin {
			return planner.ReadAll(cmd.InOrStdin())
		}
		data, err := planner.ReadFile(name)
		var failed *fs.PathError
		if errors.As(err, &failed) {
			err = fmt.Errorf("%s: %w", failed.Op, failed.Err)
		}
		return data, err
	}
}

// shown is how a file is called in messages.
func shown(name string) string {
	if name == stdin {
		return "<stdin>"
	}
	return name
}

// place is a position the way compilers write it.
func place(name string, line int) string {
	if line == 0 {
		return shown(name)
	}
	return fmt.Sprintf("%s:%d", shown(name), line)
}

// problemLine is a problem the way compilers write it; kind is "" or "warning: ".
func problemLine(name, kind string, p inventory.Problem) string {
	return fmt.Sprintf("%s: %s%s [%s]", place(name, p.Line), kind, pathed(p.Path, p.Message), p.Tag)
}

// pathed puts a path, unless it is empty, in front of a message.
func pathed(path, message string) string {
	if path == "" {
		return message
	}
	return path + ": " + message
}
