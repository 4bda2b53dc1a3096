package eventlog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
)

// deniedError is an ErrNotAllowed: the server did not take what was published.
type deniedError struct{ subject string }

func (e deniedError) Error() string {
	return NotAllowed + ": this identity may not publish to " + e.subject
}

// Is makes it an ErrNotAllowed.
func (deniedError) Is(target error) bool { return target == ErrNotAllowed }

// Hint is one sentence for a person.
func (deniedError) Hint() string {
	return "name an identity that may with --identity, --creds or --context"
}

// denials hands the server's word that something may not be published, which
// comes without an answer and names nothing but the subject, to those who wait for
// one. The zero value is ready for use.
type denials struct {
	mu      sync.Mutex
	waiting []*publication
}

type publication struct {
	subjects []string
	deny     context.CancelCauseFunc
}

// watch returns a context that ends, with a deniedError as its cause, when the
// server refuses one of the subjects. release must be called.
func (d *denials) watch(ctx context.Context, subjects ...string) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &publication{subjects, cancel}
	d.mu.Lock()
	d.waiting = append(d.waiting, p)
	d.mu.Unlock()
	return ctx, func() {
		d.mu.Lock()
		d.waiting = slices.DeleteFunc(d.waiting, func(other *publication) bool { return other == p })
		d.mu.Unlock()
		cancel(nil)
	}
}

// whileAllowed asks something of JetStream's API, and says at once if the server
// does not allow that.
func (b *Bus) whileAllowed(ctx context.Context, api string, ask func(context.Context) error) error {
	allowed, release := b.denials.watch(ctx, b.apiPrefix()+api)
	defer release()
	err := ask(allowed)
	if denied, ok := errors.AsType[deniedError](context.Cause(allowed)); ok {
		return denied
	}
	return err
}

// deny reports whether anybody waited for the answer to what err refuses.
func (d *denials) deny(err error) bool {
	_, rest, found := strings.Cut(err.Error(), `Publish to "`)
	subject, _, closed := strings.Cut(rest, `"`)
	if !found || !closed {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	told := false
	for _, p := range d.waiting {
		if slices.Contains(p.subjects, subject) {
			p.deny(deniedError{subject})
			told = true
		}
	}
	return told
}
