package fleetday

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// diary is what was done and what the services logged, by fake time. It is
// printed when a story fails.
type diary struct {
	mu    sync.Mutex
	began time.Time
	lines []string
}

// kept is how many lines of the diary and of the log are printed.
const kept = 400

func (d *diary) tell(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.lines) > 4*kept {
		d.lines = append([]string(nil), d.lines[len(d.lines)-kept:]...)
	}
	d.lines = append(d.lines, fmt.Sprintf("%12.3fs  ", time.Since(d.began).Seconds())+fmt.Sprintf(format, args...))
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines[max(0, len(d.lines)-kept):], "\n")
}

// logger is a process's logger into the diary.
func (d *diary) logger(name string) zerolog.Logger {
	return zerolog.New(diaryWriter{d, name}).Level(zerolog.InfoLevel)
}

type diaryWriter struct {
	diary *diary
	name  string
}

func (w diaryWriter) Write(line []byte) (int, error) {
	w.diary.tell("%-10s %s", w.name, strings.TrimSpace(string(line)))
	return len(line), nil
}
