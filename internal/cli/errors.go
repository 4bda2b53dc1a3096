package cli

import (
	"errors"
	"fmt"
)

// Exit codes.
const (
	ExitOK          = 0
	ExitFailure     = 1
	ExitUsage       = 64
	ExitInterrupted = 130
)

type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// UsageError marks err as a mistake of the caller: exit code 64 and a pointer
// to the help. UsageError(nil) is nil.
func UsageError(err error) error {
	if err == nil || isUsage(err) {
		return err
	}
	return &usageError{err}
}

// Usagef is UsageError of a formatted error.
func Usagef(format string, args ...any) error {
	return UsageError(fmt.Errorf(format, args...))
}

func isUsage(err error) bool {
	var u *usageError
	return errors.As(err, &u)
}

type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// WithHint adds one sentence that says what to do about err. The innermost
// hint is the one shown: who stood nearest knew most. WithHint(nil, ...) is nil.
func WithHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &hintError{err, hint}
}

// Hinter is implemented by errors that bring their own hint.
type Hinter interface{ Hint() string }

// Hint of the error, as WithHint or a Hinter gave it.
func (e *hintError) Hint() string { return e.hint }

// HintOf returns the innermost hint in err's chain, or "".
func HintOf(err error) string {
	hint := ""
	for err != nil {
		var h Hinter
		if !errors.As(err, &h) {
			break
		}
		if s := h.Hint(); s != "" {
			hint = s
		}
		err = errors.Unwrap(h.(error))
	}
	return hint
}

// Exit ends the command with Code. Err is printed like any other error; nil
// prints nothing, for commands whose output has said it all.
type Exit struct {
	Code int
	Err  error
}

func (e Exit) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap gives the error that is printed.
func (e Exit) Unwrap() error { return e.Err }
