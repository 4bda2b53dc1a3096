package archive

import (
	"errors"
	"fmt"
)

// ErrPart means that a file begins behind the record that was asked for.
var ErrPart = errors.New("file is a part")

// Fault says where a file is not what an export writes, or not what was signed.
type Fault struct {
	// Line counts from 1; one behind the last where something is missing there.
	Line int
	// Sequence of the record there, or that should be there.
	Sequence uint64
	Err      error
}

func (f *Fault) Error() string {
	return fmt.Sprintf("line %d, sequence %d: %v", f.Line, f.Sequence, f.Err)
}

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Err }
