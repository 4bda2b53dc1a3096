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

func (d *diary) tell(format string, args ...any) { d.note(time.Now(), fmt.Sprintf(format, args...)) }

func (d *diary) note(at time.Time, line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%12.3fs  %s", at.Sub(d.began).Seconds(), line))
}

// kept is how many lines of the diary are printed.
const kept = 400

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
