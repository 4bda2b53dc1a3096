package program

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// maxAnswer bounds what is kept of an answer, in bytes.
	maxAnswer = 16 << 10
	// maxComplaint bounds what of its standard error stands in an error.
	maxComplaint = 512
)

// TimeoutError says that a program did not end in time.
type TimeoutError struct {
	Program string
	Limit   time.Duration
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("%s did not end within %s", e.Program, e.Limit)
}

// Ask runs argv with input on its standard input and returns what it prints,
// its first 16 KiB. It has the caller's environment. A program that takes longer
// than limit is killed: *TimeoutError. One that fails is an error that quotes
// its standard error, never its output, which could be a secret.
func Ask(ctx context.Context, argv []string, input []byte, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &TimeoutError{Program: argv[0], Limit: limit})
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// What it has started itself ends with it, and must not keep us if it does not.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	cmd.Stdin = bytes.NewReader(input)
	answer, complaint := limited{left: maxAnswer}, limited{left: maxComplaint}
	cmd.Stdout, cmd.Stderr = &answer, &complaint
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && len(complaint.kept) > 0:
		return nil, fmt.Errorf("%s: %w: %s", argv[0], err, oneLine(complaint.kept))
	case err != nil:
		return nil, fmt.Errorf("%s: %w", argv[0], err)
	}
	return answer.kept, nil
}

// oneLine is for an error, which has one line.
func oneLine(text []byte) string { return strings.Join(strings.Fields(string(text)), " ") }

// limited keeps the beginning of what is written to it.
type limited struct {
	kept []byte
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	kept := p[:min(len(p), l.left)]
	l.left -= len(kept)
	l.kept = append(l.kept, kept...)
	return len(p), nil
}
