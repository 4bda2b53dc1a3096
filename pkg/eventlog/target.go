package eventlog

import (
	"net/url"
	"strings"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// target is where to connect to, and as whom.
type target struct {
	url, domain, apiPrefix string
	options                []nats.Option
}

func (o *Options) target() (target, error) {
	t := target{url: nats.DefaultURL}
	switch {
	case o.InProcess != nil:
		t.options = append(t.options, nats.InProcessServer(o.InProcess))
	case o.Context != "":
		if err := t.loadContext(o.Context); err != nil {
			return target{}, contextError(o.Context, err)
		}
	}
	if o.URL != "" && o.InProcess == nil {
		t.url = o.URL
	}
	if o.Creds != "" {
		t.options = append(t.options, nats.UserCredentials(o.Creds))
	}
	if o.InProcess == nil {
		t.options = append(t.options, o.TLS.options()...)
	}
	if o.CustomInboxPrefix != "" {
		t.options = append(t.options, nats.CustomInboxPrefix(o.CustomInboxPrefix))
	}
	return t, nil
}

func (t *target) loadContext(name string) error {
	c, err := natscontext.New(name, true)
	if err != nil {
		return err
	}
	if t.options, err = c.NATSOptions(); err != nil {
		return err
	}
	if c.ServerURL() != "" {
		t.url = c.ServerURL()
	}
	t.domain, t.apiPrefix = c.JSDomain(), c.JSAPIPrefix()
	return nil
}

func (t *target) jetStream(nc *nats.Conn) (jetstream.JetStream, error) {
	timeout := jetstream.WithDefaultTimeout(requestTimeout)
	switch {
	case t.domain != "":
		return jetstream.NewWithDomain(nc, t.domain, timeout)
	case t.apiPrefix != "":
		return jetstream.NewWithAPIPrefix(nc, t.apiPrefix, timeout)
	}
	return jetstream.New(nc, timeout)
}

// redact leaves out what must not reach a log: user, password and token.
func redact(urls string) string {
	list := strings.Split(urls, ",")
	for i, s := range list {
		s = strings.TrimSpace(s)
		if !strings.Contains(s, "://") {
			s = "nats://" + s
		}
		u, err := url.Parse(s)
		if err != nil {
			list[i] = "(unreadable URL)"
			continue
		}
		u.User = nil
		list[i] = u.String()
	}
	return strings.Join(list, ",")
}
