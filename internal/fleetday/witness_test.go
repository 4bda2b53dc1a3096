package fleetday

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// witness follows the log as any reader may, and is never cut off.
type witness struct {
	bus    *eventlog.Bus
	view   *view.View
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu      sync.Mutex
	records []eventlog.Record
}

func attend(r *rig) *witness {
	r.Helper()
	bus, err := eventlog.Connect(r.Context(), eventlog.Options{InProcess: &link{site: r.site}, Name: "witness"})
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	w := &witness{bus: bus, cancel: cancel}
	if err := bus.EnsureStreams(ctx); err != nil {
		r.Fatal(err)
	}
	w.view = view.New(bus.Log())
	w.view.OnRecord(func(record eventlog.Record, _ projection.Change) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.records = append(w.records, record)
		w.flood()
	})
	w.tasks.Go(func() {
		if err := w.view.Run(ctx); err != nil {
			r.Errorf("the witness cannot follow the log: %v", err)
		}
	})
	return w
}

// flood ends a run in which writers answer one another without end: fake time
// stands still meanwhile, and no bound in it would ever be reached.
func (w *witness) flood() {
	const most = 2000
	n := len(w.records)
	if n <= most || w.records[n-1].Time.Sub(w.records[n-most].Time) > time.Second {
		return
	}
	panic(fmt.Sprintf("%d records within a second, the last ones\n%s", most, lines(w.records[n-40:])))
}

// lines are records as a person reads them.
func lines(records []eventlog.Record) string {
	var text strings.Builder
	for _, record := range records {
		fmt.Fprintln(&text, logline.Text(record))
	}
	return text.String()
}

// log is what the witness saw of it.
func (w *witness) log() []eventlog.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records[:len(w.records):len(w.records)]
}

func (w *witness) close() {
	w.cancel()
	w.tasks.Wait()
	w.bus.Close()
}
