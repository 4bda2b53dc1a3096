//go:build linux || darwin || freebsd || netbsd || openbsd

package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// lock is held as long as the process lives and keeps the file open, so a
// killed agent leaves nothing behind that would stop the next one.
type lock struct{ file *os.File }

func takeLock(path string) (*lock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, inUse(path, file)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	// The number is for people only; the lock is the file's.
	if err := file.Truncate(0); err == nil {
		_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &lock{file}, nil
}

func inUse(path string, file *os.File) error {
	who := ""
	if b, err := io.ReadAll(io.LimitReader(file, 32)); err == nil && len(b) > 0 {
		who = ", process " + strings.TrimSpace(string(b)) + ","
	}
	return &DirError{
		Path:   path,
		Err:    fmt.Errorf("another agent%s uses this folder", who),
		Remedy: "stop the other agent, or give each node a folder of its own with --dir",
	}
}

func (l *lock) release() error { return l.file.Close() }
