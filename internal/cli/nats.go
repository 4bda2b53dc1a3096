package cli

import (
	"os"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// DefaultNATS is the server when neither --nats nor --context is given and the
// nats command has no context selected.
const DefaultNATS = "nats://127.0.0.1:4222"

// NATSFlags say which server and which fleet a command works with. The
// variables of the nats command are understood too.
type NATSFlags struct {
	URL, Context, Creds, Prefix string
	// Identity is a folder with the three files that TLS could name.
	Identity string
	TLS      eventlog.TLSFiles
	flags    *pflag.FlagSet
	// taken: a context of our own was looked for; own: and found.
	taken, own bool
}

// AddTo defines the flags.
func (n *NATSFlags) AddTo(flags *pflag.FlagSet) {
	n.flags = flags
	flags.StringVar(&n.URL, "nats", "", "`URL` of the NATS server; without it and --context the one that 'fleetfold context use' selected, then that of the nats command, or else "+DefaultNATS)
	flags.StringVar(&n.Context, "context", "", "`NAME` of a context of 'fleetfold context', or else of the nats command, with its server and credentials")
	flags.StringVar(&n.Creds, "creds", "", "`FILE` with NATS credentials")
	flags.StringVar(&n.Identity, "identity", "", "`FOLDER` of an identity that \"fleetfold nats config\" made, in place of --tlscert, --tlskey and --tlsca")
	flags.StringVar(&n.TLS.Cert, "tlscert", "", "`FILE` with the client certificate")
	flags.StringVar(&n.TLS.Key, "tlskey", "", "`FILE` with the key of the client certificate")
	flags.StringVar(&n.TLS.CA, "tlsca", "", "`FILE` with the CA of the server's certificate")
	flags.StringVar(&n.Prefix, "prefix", events.DefaultPrefix, "first `TOKEN` of every subject; fleets that share a server have different ones")
	AlsoEnv(flags, "nats", "NATS_URL")
	AlsoEnv(flags, "context", "NATS_CONTEXT")
	AlsoEnv(flags, "creds", "NATS_CREDS")
	AlsoEnv(flags, "tlscert", "NATS_CERT")
	AlsoEnv(flags, "tlskey", "NATS_KEY")
	AlsoEnv(flags, "tlsca", "NATS_CA")
}

// Options for eventlog.Connect under the given client name. The error is a
// usage error.
//
// A server named on the command line silences one named by the environment, so
// that an exported NATS_URL never leads --context somewhere else.
func (n *NATSFlags) Options(name string) (eventlog.Options, error) {
	if err := n.takeContext(); err != nil {
		return eventlog.Options{}, err
	}
	if _, err := events.NewSubjects(n.Prefix); err != nil {
		return eventlog.Options{}, UsageError(err)
	}
	o := eventlog.Options{URL: n.URL, Context: n.Context, Creds: n.Creds, Prefix: n.Prefix, Name: name}
	switch {
	case n.own:
	case n.typed("context") && !n.typed("nats"):
		o.URL = ""
		if !n.typed("creds") {
			o.Creds = ""
		}
	case n.typed("nats") && !n.typed("context"):
		o.Context = ""
	}
	if o.URL == "" && o.Context == "" && !n.own {
		o.Context = eventlog.SelectedContext()
	}
	if o.URL == "" && o.Context == "" {
		o.URL = DefaultNATS
	}
	if o.Creds != "" {
		if _, err := os.Stat(o.Creds); err != nil {
			return eventlog.Options{}, Usagef("find credentials of --creds: %w", err)
		}
	}
	return o, n.identify(&o)
}

func (n *NATSFlags) typed(flag string) bool {
	return n.flags != nil && FromCommandLine(n.flags.Lookup(flag))
}

// BusLogger is an eventlog.Options.Logger that writes to log.
func BusLogger(log zerolog.Logger) func(event string, err error) {
	return func(event string, err error) {
		if err == nil {
			log.Info().Msg(event)
			return
		}
		log.Warn().Err(err).Msg(event)
	}
}
