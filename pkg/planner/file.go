package planner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// MaxFileBytes is the largest inventory file that is read, 1 GiB: as much as a
// fleet can store.
const MaxFileBytes = eventlog.MaxInventoryBytes

// ReadFile reads an inventory file. It refuses what is no regular file, such as
// a pipe nobody writes to or a device without an end, and what is too large.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		var failed *os.PathError
		if errors.As(err, &failed) {
			failed.Op = "open" // what the person asked for
		}
		return nil, err
	}
	switch {
	case info.IsDir():
		return nil, &os.PathError{Op: "read", Path: path, Err: errors.New("is a directory")}
	case !info.Mode().IsRegular():
		return nil, &os.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAll(file, info.Size())
}

// ReadAll reads an inventory from r, as long as it is not too large.
func ReadAll(r io.Reader) ([]byte, error) { return readAll(r, 0) }

// readAll makes room at once for as many bytes as there will probably be.
func readAll(r io.Reader, size int64) ([]byte, error) {
	text := bytes.NewBuffer(make([]byte, 0, min(size, MaxFileBytes)+bytes.MinRead))
	_, err := text.ReadFrom(io.LimitReader(r, MaxFileBytes+1))
	if err == nil && text.Len() > MaxFileBytes {
		err = fmt.Errorf("larger than %d MiB", MaxFileBytes>>20)
	}
	if err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}
