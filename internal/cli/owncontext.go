package cli

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/fleetfold/fleetfold/internal/cli/contexts"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// takeContext fills in, once, what a context of our own says and the flags do
// not. A context that was typed silences the environment; one that is selected
// or that the environment names does not. A server that is named leaves the
// selected context aside as a whole: its identity is for another one.
func (n *NATSFlags) takeContext() error {
	if n.taken || n.flags == nil {
		return nil
	}
	n.taken = true
	name := n.Context
	if n.typed("nats") && !n.typed("context") {
		return nil
	}
	if name == "" {
		if n.URL != "" {
			return nil
		}
		selected, err := contexts.Selected()
		if err != nil || selected == "" {
			return err
		}
		name = selected
	}
	c, err := contexts.Load(name)
	switch {
	case errors.Is(err, contexts.ErrNone) && n.Context != "":
		return nil // it is one of the nats command, or of nobody
	case errors.Is(err, contexts.ErrNone):
		return WithHint(fmt.Errorf("the selected context %q is not there any more", name), "choose another with 'fleetfold context use NAME'")
	case err != nil:
		return err
	}
	n.fill(c)
	return nil
}

func (n *NATSFlags) fill(c contexts.Context) {
	n.own = true
	typed := n.typed("context")
	given := func(flags ...string) bool {
		for _, name := range flags {
			if n.typed(name) || !typed && n.flags.Changed(name) {
				return true
			}
		}
		return false
	}
	n.Context = c.NATSContext
	if !given("nats") {
		n.URL = c.NATS
	}
	if !given("creds") {
		n.Creds = c.Creds
	}
	if !given("identity", "tlscert", "tlskey", "tlsca") {
		n.Identity, n.TLS = c.Identity, eventlog.TLSFiles{Cert: c.TLSCert, Key: c.TLSKey, CA: c.TLSCA}
	}
	if !given("prefix") {
		n.Prefix = cmp.Or(c.Prefix, events.DefaultPrefix)
	}
}
