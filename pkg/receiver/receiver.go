package receiver

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Defaults of a Config.
const (
	DefaultMaxAge     = 5 * time.Minute
	DefaultMaxSkew    = 30 * time.Second
	DefaultWarnWindow = 5 * time.Minute
	// DefaultRemember is about 20 MB, and a thousand posts a second for as long as
	// DefaultMaxAge.
	DefaultRemember = 300_000
)

// Config of a Receiver. Source has no default.
type Config struct {
	Source Source
	// Audiences are the names of this receiver and of no other: URLs, of which only
	// scheme and host count, or other texts that senders agree on. Posts on the bus
	// are meant for their subject besides.
	Audiences []string
	// MaxAge is how long ago a post may have been signed; 0 is DefaultMaxAge.
	MaxAge time.Duration
	// MaxSkew is how far a sender's clock may be ahead; 0 is DefaultMaxSkew.
	MaxSkew time.Duration
	// WarnWindow is how long a credential that lapsed after the flip to strict is
	// taken with a warning; 0 is DefaultWarnWindow, below 0 is not at all.
	WarnWindow time.Duration
	// MaxBody bounds a post's body in bytes; 0 is MaxBodyBytes.
	MaxBody int64
	// Remember is how many posts are known at most, so that they are not taken
	// twice; 0 is DefaultRemember.
	Remember int
	// MemoryFile keeps what was seen over a restart; it is made with mode 0600.
	// Empty: a receiver that restarts takes each post of the last MaxAge once more.
	MemoryFile string
	// Now is the clock; nil is time.Now.
	Now    func() time.Time
	Logger zerolog.Logger
	// Refused hears of each post that was refused, and of the source that it claims,
	// which may be empty; not of those that could not be judged yet. It must not wait,
	// for whoever is refused chooses how often. Nil: nobody does.
	Refused func(source string, refusal *Refusal)
}

// Receiver decides of posts. All methods may be called from any goroutine. It is a
// prometheus.Collector.
type Receiver struct {
	cfg   Config
	seen  *memory
	count counters
	lines *lines
}

// New returns a Receiver.
func New(c Config) (*Receiver, error) {
	c.MaxAge, c.MaxSkew = cmp.Or(c.MaxAge, DefaultMaxAge), cmp.Or(c.MaxSkew, DefaultMaxSkew)
	c.WarnWindow, c.MaxBody = cmp.Or(c.WarnWindow, DefaultWarnWindow), cmp.Or(c.MaxBody, MaxBodyBytes)
	c.Remember = cmp.Or(c.Remember, DefaultRemember)
	if c.Now == nil {
		c.Now = time.Now
	}
	switch {
	case c.Source == nil:
		return nil, errors.New("configure receiver: a source of posture and roots is required")
	case c.MaxAge < time.Second || c.MaxSkew < 0 || c.MaxBody < 1 || c.Remember < 1:
		return nil, errors.New("configure receiver: age must be at least 1 s, and skew, body and memory not negative")
	}
	names := make([]string, 0, len(c.Audiences))
	for _, name := range c.Audiences {
		if u, err := url.Parse(name); err == nil && u.Host != "" && (strings.EqualFold(u.Scheme, "http") || strings.EqualFold(u.Scheme, "https")) {
			name = Audience(u)
		}
		if name == "" {
			return nil, fmt.Errorf("configure receiver: a name of it is empty")
		}
		names = append(names, name)
	}
	c.Audiences = names
	r := &Receiver{cfg: c, seen: newMemory(c.Remember, c.MaxAge), lines: newLines(c.Now)}
	if c.MemoryFile != "" {
		if err := r.recall(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// recall reads what was seen before a restart.
func (r *Receiver) recall() error {
	now := r.cfg.Now()
	whole, err := r.seen.open(r.cfg.MemoryFile, now)
	if err != nil {
		return fmt.Errorf("configure receiver: %w", err)
	}
	if !whole {
		// A post that was taken may have been signed by a clock ahead of ours.
		r.seen.lost = now.Add(r.cfg.MaxSkew)
		r.cfg.Logger.Warn().Str(field.Path, r.cfg.MemoryFile).Time("until", r.seen.lost).
			Msg("what was seen before the restart is not all there: posts signed before that time are put off")
	}
	return nil
}

// Close writes what was seen to its file, so that not even a crash of the machine
// after it makes another receiver doubt it. Nothing may be checked afterwards.
func (r *Receiver) Close() error { return r.seen.close() }

// Check decides of a post that was read elsewhere and came to one of the
// receiver's audiences. Errors are a *Refusal. A post can be checked once: the
// second time it is a replay.
func (r *Receiver) Check(p *Post) (Sender, error) {
	return r.decide(p, r.cfg.Source.Trust(), r.cfg.Audiences)
}

// decide judges, counts and logs.
func (r *Receiver) decide(p *Post, t *Trust, audiences []string) (Sender, error) {
	sender, err := r.judge(p, t, audiences)
	if err != nil {
		return Sender{}, r.refused(p.Source, err)
	}
	r.count.took(sender)
	if sender.Doubt != "" {
		r.lines.warn(string(sender.Doubt)+" taken", func() {
			r.cfg.Logger.Warn().Str(field.Reason, string(sender.Doubt)).Str(field.Source, clip(p.Source)).Bool(field.Verified, sender.Verified).
				Uint64(field.Total, r.count.taken(sender)).Msg("post taken with a doubt")
		})
	}
	return sender, nil
}

// refused counts and logs a refusal. source is what the post says it is from.
func (r *Receiver) refused(source string, err error) *Refusal {
	refusal := asRefusal(err)
	r.count.refused(refusal.Reason)
	said := "post refused"
	judged := resultOf(refusal.Reason) != unavailable
	if judged && r.cfg.Refused != nil {
		r.cfg.Refused(clip(source), refusal)
	}
	if !judged {
		said = "post could not be judged, its sender was told to try again"
	}
	r.lines.warn(string(refusal.Reason)+" refused", func() {
		r.cfg.Logger.Warn().Str(field.Reason, string(refusal.Reason)).Str(field.Source, clip(source)).Str(field.Why, refusal.Detail).
			Uint64(field.Total, r.count.refusals(refusal.Reason)).Msg(said)
	})
	return refusal
}

// Counts says how many posts were taken in order, taken with a doubt and refused,
// by reason. The refused include those that could not be judged yet.
func (r *Receiver) Counts() (taken uint64, doubted, refused map[fleet.Reason]uint64) {
	return r.count.all()
}
