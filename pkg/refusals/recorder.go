package refusals

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// tellTimeout bounds what one fact may take: a bus that fails must keep nobody
// from anything else.
const tellTimeout = 3 * time.Second

// Log is what a Recorder needs of the log.
type Log interface {
	Append(ctx context.Context, entries ...eventlog.Entry) (last uint64, err error)
	LastOn(ctx context.Context, subject string) (uint64, error)
	Subjects() events.Subjects
}

// View follows the log, as view.View does; it hands each record to OnRecord.
type View interface{ CatchUp(context.Context) error }

// Config of a Recorder. Log, View and Source are required.
type Config struct {
	Log  Log
	View View
	// Source of the facts, such as events.SourcePlanner.
	Source string
	// Shared says that all who record under this source are refused the same
	// messages, so that one of them tells for all. Otherwise each message comes
	// to one of them only, and each tells of its own.
	Shared bool
	// Recorded hears of each fact; nil means that nobody does.
	Recorded func(*events.MessageRefused)
	Logger   zerolog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Recorder puts onto the log what was refused. Add and OnRecord may be called
// from any goroutine; Tell and Run are for one.
type Recorder struct {
	Config
	added chan struct{} // there is news since Run looked

	mu    sync.Mutex
	tally tally
	tried chan struct{} // closed when Tell has told, or found that others have
	// news is what the log says of refusals and was not taken in yet, last the
	// sequence of the newest, and saying the id of what was said here last.
	news   []eventlog.Record
	last   uint64
	saying string
	// before is the last sequence there when there was first something to tell.
	before *uint64
}

// New returns a Recorder. Its OnRecord must see each record that the view folds.
func New(c Config) (*Recorder, error) {
	if c.Log == nil || c.View == nil || c.Source == "" {
		return nil, errors.New("configure recorder of refusals: log, view and source are required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Recorder{Config: c, added: make(chan struct{}, 1), tried: make(chan struct{})}, nil
}

// Add counts a message that was refused on a channel, such as "presence", in the
// name of a node, which may be "". The reason is that of a *fleet.Refusal in err,
// else eventlog.ReasonUnreadable.
func (r *Recorder) Add(channel string, id fleet.NodeID, err error) { r.AddMany(channel, id, err, 1) }

// AddMany is Add for n of them, of which err is the newest.
func (r *Recorder) AddMany(channel string, id fleet.NodeID, err error, n uint64) {
	if n == 0 {
		return
	}
	reason := fleet.ReasonOf(err)
	if reason == "" {
		reason = eventlog.ReasonUnreadable
	}
	r.mu.Lock()
	r.tally.add(kind{channel, id, reason}, detailOf(err), n, r.Now())
	r.mu.Unlock()
	select {
	case r.added <- struct{}{}:
	default:
	}
}

// Wake is when there is something to tell, never before now; zero: not by itself.
func (r *Recorder) Wake() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tally.wake(r.Now())
}

// OnRecord notes a record of the log. One on the subject of refusals moves the
// fence there, whether or not it fits: others may have said what is due here.
func (r *Recorder) OnRecord(rec eventlog.Record) {
	if rec.Message.Subject != r.Log.Subjects().Refusal() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = rec.Sequence
	if rec.Event == nil {
		return
	}
	if len(r.news) == maxKinds {
		r.news = r.news[1:] // of a long log only the newest are news
	}
	r.news = append(r.news, rec)
}

// Run tells what is due until ctx ends. The view must run meanwhile.
func (r *Recorder) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		r.Tell(ctx)
		if at := r.Wake(); at.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(at.Sub(r.Now()), time.Millisecond))
		}
		select {
		case <-r.added:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// flushTime bounds Flush.
const flushTime = 3 * time.Second

// Flush waits, for three seconds at most, until Run has told of what was refused, so
// that a process that ends over it does not end before. It may be called from any
// goroutine. What was told of a moment ago is not told again for it.
func (r *Recorder) Flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	for {
		tried, owes := r.owes()
		if !owes {
			return
		}
		select {
		case <-tried:
		case <-ctx.Done():
			return
		}
	}
}

// owes says that there is something to tell that need not wait for a minute, and
// what is closed when that was tried.
func (r *Recorder) owes() (tried <-chan struct{}, owes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, c := r.tally.first()
	return r.tried, c != nil && !c.ready().After(r.Now())
}

// Tell puts onto the log what is due. It is fenced on what others said of
// refusals; whoever loses looks again once it has read the other. A bus that
// fails keeps nobody from anything else.
func (r *Recorder) Tell(ctx context.Context) {
	if r.due() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	err := r.tell(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.tried)
	r.tried = make(chan struct{})
	if err != nil {
		r.saying = "" // should it be there all the same, it was said by somebody
		r.tally.unsaid(r.Now())
		r.Logger.Debug().Err(err).Msg("could not record a refusal, trying again")
	}
}

func (r *Recorder) due() *events.MessageRefused {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tally.due(r.Now())
}

func (r *Recorder) tell(ctx context.Context) error {
	fence, err := r.fence(ctx)
	if err != nil {
		return err
	}
	d := r.due()
	if d == nil {
		return nil // another has said it
	}
	now := r.Now()
	e := &events.Event{
		ID:     events.NewID(string(events.TypeMessageRefused), r.Source, fmt.Sprintf("%+v", *d), strconv.FormatInt(now.UnixNano(), 10)),
		Source: r.Source, Type: events.TypeMessageRefused, Node: d.Node, Time: now, Data: d,
	}
	r.mu.Lock()
	r.saying = e.ID
	r.mu.Unlock()
	seq, err := r.Log.Append(ctx, eventlog.Entry{Event: e, Fence: eventlog.LastOnSubject(fence)})
	if err != nil {
		return fmt.Errorf("record refusal: %w", err)
	}
	r.mu.Lock()
	r.tally.said(d, now)
	r.mu.Unlock()
	if r.Recorded != nil {
		r.Recorded(d)
	}
	r.Logger.Debug().Uint64(field.Seq, seq).Str(field.Node, string(d.Node)).Str(field.Reason, string(d.Reason)).Msg("recorded a refusal")
	return nil
}

// fence is the last sequence that was read on the subject of refusals; what it
// says is taken in.
func (r *Recorder) fence(ctx context.Context) (uint64, error) {
	if r.before == nil { // a snapshot may stand for those before
		last, err := r.Log.LastOn(ctx, r.Log.Subjects().Refusal())
		if err != nil {
			return 0, fmt.Errorf("find the last refusal: %w", err)
		}
		r.before = &last
	}
	if err := r.View.CatchUp(ctx); err != nil {
		return 0, fmt.Errorf("catch up before recording a refusal: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.Now()
	for _, rec := range r.news {
		// What was said here was taken off the tally when it was said.
		if rec.Event.ID != r.saying && now.Sub(rec.Time) < sameKind {
			r.tally.heard(rec.Event.Data.(*events.MessageRefused), r.Shared && rec.Event.Source == r.Source, now)
		}
	}
	r.news = nil
	return max(r.last, *r.before), nil
}
