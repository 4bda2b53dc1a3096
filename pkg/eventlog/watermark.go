package eventlog

import (
	"sync/atomic"
	"time"
)

// maxNext bounds what one Next returns, so that a reader of a long history
// shows progress.
const maxNext = 4096

// watermark is a time that any goroutine may read.
type watermark struct{ t atomic.Pointer[time.Time] }

func (w *watermark) set(t time.Time) { w.t.Store(&t) }

// get is the zero time before the first set.
func (w *watermark) get() time.Time {
	if t := w.t.Load(); t != nil {
		return *t
	}
	return time.Time{}
}
