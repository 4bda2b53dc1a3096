package planner

import (
	"sync"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// trouble is why the planner cannot go on, while it cannot.
type trouble struct {
	mu  sync.Mutex
	now error
}

// begin says whether the trouble is a new one.
func (t *trouble) begin(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	fresh := t.now == nil || t.now.Error() != err.Error()
	t.now = err
	return fresh
}

// end says whether there was trouble.
func (t *trouble) end() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.now != nil
	t.now = nil
	return was
}

// Trouble is why the planner decides nothing now, such as an inventory in force
// that cannot be read; nil while it can. It may be called from any goroutine.
func (p *Planner) Trouble() error {
	p.trouble.mu.Lock()
	defer p.trouble.mu.Unlock()
	return p.trouble.now
}

// misfits collects, from the goroutine that folds, the messages that do not
// fit. A log may hold any number of them, so that of those that come together
// only the newest is told in full.
type misfits struct {
	mu     sync.Mutex
	count  int
	newest eventlog.Record
}

func (m *misfits) add(r eventlog.Record) {
	if r.Event != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	r.Message.Header, r.Message.Data = nil, nil // may be large
	m.newest = r
}

func (m *misfits) tell(logger zerolog.Logger) {
	m.mu.Lock()
	n, r := m.count, m.newest
	m.count = 0
	m.mu.Unlock()
	if n == 0 {
		return
	}
	logger.Warn().Int("messages", n).Uint64(field.Seq, r.Sequence).Str(field.Subject, r.Message.Subject).
		Str(field.Reason, string(reasonOf(r.Err))).Err(r.Err).Msg("passed over what does not fit on the log")
}
