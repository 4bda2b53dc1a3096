package agentcmd

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// evidenceFlags say how the node shows who it is.
type evidenceFlags struct {
	cert, key, payload string
	// bus is the certificate that the agent shows to the server.
	bus eventlog.TLSFiles
}

func (f *evidenceFlags) addTo(fs *pflag.FlagSet) {
	fs.StringVar(&f.cert, "attest-cert", "", "`FILE` of the client certificate, with its intermediates, that shows who the node is (attestor mtls-cert); default is "+attest.CertFile+" in --dir or else that of --identity or --tlscert")
	fs.StringVar(&f.key, "attest-key", "", "`FILE` of its key; default is "+attest.KeyFile+" in --dir")
	fs.StringVar(&f.payload, "attest-payload", "", "`FILE` of what a plugin judges, such as a join token (attestor node-plugin); default is "+attest.PayloadName+" in --dir")
}

func (f *evidenceFlags) check() error {
	if (f.cert == "") != (f.key == "") {
		return cli.Usagef("--attest-cert and --attest-key belong together")
	}
	return nil
}

// in looks at the folder anew each time, so that evidence may come later.
func (f *evidenceFlags) in(dir string) func(context.Context, fleet.Attestor, attest.Challenge) (*attest.Evidence, error) {
	return func(ctx context.Context, kind fleet.Attestor, c attest.Challenge) (*attest.Evidence, error) {
		provers := attest.ProversIn(dir)
		if f.bus.Cert != "" && provers[fleet.AttestorMTLSCert] == nil {
			provers[fleet.AttestorMTLSCert] = attest.ClientCertificate{CertFile: f.bus.Cert, KeyFile: f.bus.Key}
		}
		if f.cert != "" {
			provers[fleet.AttestorMTLSCert] = attest.ClientCertificate{CertFile: f.cert, KeyFile: f.key}
		}
		if f.payload != "" {
			provers[fleet.AttestorNodePlugin] = attest.PayloadFile{Path: f.payload}
		}
		return provers.Prove(ctx, kind, c)
	}
}
