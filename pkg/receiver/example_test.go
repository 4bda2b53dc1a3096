package receiver_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/receiver"
)

// strict is a fleet that is strict; FromView and FromStream follow a real one.
type strict struct{ trust *receiver.Trust }

func (s strict) Trust() *receiver.Trust { return s.trust }

// A receiver in front of an application: it takes what a node has signed.
func Example() {
	dir, err := os.MkdirTemp("", "receiver")
	check(err)
	defer os.RemoveAll(dir)
	ca, _, err := identity.LoadOrCreateCA(filepath.Join(dir, "ca"), "fleet.example", time.Now())
	check(err)

	source := strict{&receiver.Trust{
		Known: true, Posture: eventlog.Posture{Strict: true, Sequence: 42, Since: time.Now()},
		TrustDomain: "fleet.example", Roots: [][]byte{ca.CertificatePEM()},
	}}
	const name = "https://posts.example.org" // as senders call it, whatever stands between
	r, err := receiver.New(receiver.Config{Source: source, Audiences: []string{name}})
	check(err)
	server := httptest.NewServer(r.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		sender, _ := receiver.SenderOf(req.Context())
		fmt.Fprintf(w, "taken from %s", sender.Node)
	})))
	defer server.Close()

	credential := credentialOf("node-1", ca, dir)
	for _, c := range []*receiver.Credential{nil, credential} {
		client := http.Client{Transport: &receiver.Transport{
			Credential: func() (*receiver.Credential, func(), error) { return c, nil, nil },
			Audience:   func(*http.Request) string { return name },
		}}
		req, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(`{"celsius": 21}`))
		check(err)
		for header, value := range map[string]string{
			"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Type": "example.measured", "Ce-Source": "thermometer",
		} {
			req.Header.Set(header, value)
		}
		answer, err := client.Do(req)
		check(err)
		text, err := io.ReadAll(answer.Body)
		check(err)
		answer.Body.Close()
		fmt.Println(answer.StatusCode, strings.TrimSpace(string(text)))
		client.CloseIdleConnections()
	}
	// Output:
	// 401 {"reason":"unsigned","detail":"the post is not signed"}
	// 200 taken from node-1
}

func credentialOf(id string, ca *identity.CA, dir string) *receiver.Credential {
	key, _, err := identity.LoadOrCreateKey(filepath.Join(dir, "key.pem"))
	check(err)
	text, err := identity.NewCSR(key)
	check(err)
	csr, err := identity.ParseCSR(text)
	check(err)
	issued, err := ca.Issue(csr, "node-1", time.Hour, time.Now())
	check(err)
	return &receiver.Credential{Key: key, ChainPEM: issued.CertificatePEM, ID: "spiffe://fleet.example/" + id}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
