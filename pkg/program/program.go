package program

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
	"unicode"
)

const (
	// maxAnswer bounds what is kept of an answer, in bytes.
	maxAnswer = 16 << 10
	// maxComplaint bounds what of its standard error stands in an error, and
	// maxHeard what of it is looked through for what must not stand there.
	maxComplaint = 512
	maxHeard     = 128 << 10
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
// than limit is killed: *TimeoutError. What it has started, and left in its process
// group, ends with it. One that fails is an error that quotes its standard error,
// without private keys and secrets, and never its output, which could be one.
func Ask(ctx context.Context, argv []string, input []byte, limit time.Duration, secrets ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &TimeoutError{Program: argv[0], Limit: limit})
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// What it has started itself ends with it, and must not keep us if it does not.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	cmd.Stdin = bytes.NewReader(input)
	answer, complaint := limited{left: maxAnswer}, limited{left: maxHeard}
	cmd.Stdout, cmd.Stderr = &answer, &complaint
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // mostly nobody is left
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && len(complaint.kept) > 0:
		return nil, fmt.Errorf("%s: %w: %s", argv[0], err, quotable(string(complaint.kept), secrets))
	case err != nil:
		return nil, fmt.Errorf("%s: %w", argv[0], err)
	}
	return answer.kept, nil
}

// hidden stands where something must not.
const hidden = "(hidden)"

// keyBlock is a private key in PEM, also one that was cut off.
var keyBlock = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(-----END [A-Z0-9 ]*-----|\z)`)

// quotable is what a program complains of, as one line for an error: a program that
// fails may well say what it was given.
func quotable(text string, secrets []string) string {
	text = keyBlock.ReplaceAllString(text, hidden)
	for _, secret := range secrets {
		inJSON, _ := json.Marshal(secret) // a string can always be written
		for _, form := range []string{secret, strings.Trim(string(inJSON), `"`)} {
			if form != "" {
				text = strings.ReplaceAll(text, form, hidden)
			}
		}
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || unicode.IsSpace(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(text, ""))
	text = strings.Join(strings.Fields(text), " ")
	return strings.ToValidUTF8(text[:min(len(text), maxComplaint)], "")
}

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
