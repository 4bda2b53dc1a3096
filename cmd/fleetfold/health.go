package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/internal/cli"
)

func newHealth() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "health URL",
		Short: "Ask a service whether it is well: exit 0 when it is, 1 when it is not",
		Long: `Ask a service whether it is well, by the URL of its /healthz or /readyz. Exit 0
when it answers 200; otherwise exit 1 with what it says it is waiting for. It is the
health check of container images that hold nothing but fleetfold.`,
		Example: `  fleetfold health http://127.0.0.1:8080/readyz
  fleetfold health http://127.0.0.1:8080/healthz --timeout 500ms`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if timeout <= 0 {
				return cli.Usagef("--timeout is %s, must be above 0", timeout)
			}
			target, err := url.Parse(args[0])
			if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "" {
				return cli.Usagef("%q is no http URL", args[0])
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return health(ctx, target.String())
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 2*time.Second, "`DURATION` within which the answer must be there, above 0")
	return cmd
}

// maxReason bounds how much of an answer is shown.
const maxReason = 500

func health(ctx context.Context, target string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return fmt.Errorf("make health request: %w", err)
	}
	// A redirect is no health: whoever answers it may be somebody else.
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(request)
	if err != nil {
		return cli.WithHint(fmt.Errorf("ask for health: %w", err), "is the service running, with --listen?")
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	reason, _ := io.ReadAll(io.LimitReader(answer.Body, maxReason))
	if text := strings.TrimSpace(string(reason)); text != "" {
		return fmt.Errorf("%s answered %s: %s", target, answer.Status, text)
	}
	return fmt.Errorf("%s answered %s", target, answer.Status)
}
