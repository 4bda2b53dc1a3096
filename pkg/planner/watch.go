package planner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleDelay lets an editor finish: many truncate a file before they write it.
	settleDelay = 100 * time.Millisecond
	// lookEvery finds changes that no notification told of, as on network mounts.
	lookEvery = 5 * time.Second
)

// WatchFile calls changed with the content of the file at path, first as it is
// and then each time it differs, until ctx ends. It watches the folder and not
// the file, so that a file replaced by a rename, or by the symbolic links of a
// config map, is noticed. When the file cannot be read, changed is given the
// error, once for each new error.
func WatchFile(ctx context.Context, path string, changed func(text []byte, err error)) error {
	return WatchLooks(ctx, path, changed, func() {})
}

// WatchLooks is WatchFile that also calls same each time it finds the content
// that it told of last: whoever wants to know since when a change may be there
// has to know when it was not.
func WatchLooks(ctx context.Context, path string, changed func(text []byte, err error), same func()) error {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	defer notify.Close()
	w := fileWatch{path: path, notify: notify, changed: changed, same: same}
	w.watchFolders()
	w.look()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	settle := time.NewTimer(0)
	settle.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-notify.Events:
			settle.Reset(settleDelay)
		case <-notify.Errors:
			settle.Reset(settleDelay)
		case <-settle.C:
			w.watchFolders()
			w.look()
		case <-ticker.C:
			w.look()
		}
	}
}

type fileWatch struct {
	path    string
	notify  *fsnotify.Watcher
	changed func([]byte, error)
	same    func()
	last    []byte
	lastErr string
	read    bool
}

// watchFolders watches the folder of the path and that of the file it leads
// to; adding a folder that is watched already does nothing.
func (w *fileWatch) watchFolders() {
	// A folder that is gone for a moment is found again by the next look.
	_ = w.notify.Add(filepath.Dir(w.path))
	if real, err := filepath.EvalSymlinks(w.path); err == nil {
		_ = w.notify.Add(filepath.Dir(real))
	}
}

func (w *fileWatch) look() {
	if w.read && w.lastErr == "" && holds(w.path, w.last) {
		w.same()
		return
	}
	text, err := ReadFile(w.path)
	if err != nil {
		if err.Error() != w.lastErr {
			w.lastErr = err.Error()
			w.changed(nil, err)
		}
		return
	}
	w.lastErr = ""
	if w.read && bytes.Equal(text, w.last) {
		w.same()
		return
	}
	w.read, w.last = true, text
	w.changed(text, nil)
}

// holds says that a file is exactly that text, and takes no memory to speak of to
// find out: it is asked every few seconds of files that may be large.
func holds(path string, text []byte) bool {
	info, err := os.Stat(path) // before it is opened: a pipe would wait for a writer
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(text)) {
		return false
	}
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	for part := make([]byte, 64<<10); ; {
		n, err := file.Read(part)
		if n > len(text) || !bytes.Equal(part[:n], text[:n]) {
			return false
		}
		text = text[n:]
		if err != nil {
			return errors.Is(err, io.EOF) && len(text) == 0
		}
	}
}
