// Package app puts a node together: configuration in, running node out, in straight lines that give the reason for
// their order; it stops what it started in reverse.
package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"lumela/internal/sim"
)

// Version is set when the binary is built.
var Version = "dev"

// Main runs a command line and gives the exit code. SIGINT and SIGTERM end what runs, in order.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := Command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintln(stderr, "lumela:", err)
		return exitCode(err)
	}
	return 0
}

// Command is the command line.
func Command() *cobra.Command {
	root := &cobra.Command{Use: "lumela", Short: "The translator and platform for EV-charging networks", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(serveCommand(), sim.Command(), backupCommand(), restoreCommand(), exportCommand(), importCommand(), checkCommand(), healthCommand(), openAPICommand(), &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "lumela", Version, runtime.Version())
			return err
		},
	})
	return root
}

func serveCommand() *cobra.Command {
	var file string
	flags := Default()
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Start a node",
		Long: "Starts a node. Without further settings it keeps everything in one folder and needs nothing else; with --database\n" +
			"and --nats it is one of many equal nodes. Every flag is also an environment variable (LUMELA_DATA_DIR …) and a key\n" +
			"of the YAML file that --config names.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(file, cmd.Flags())
			if err != nil {
				return err
			}
			log, err := newLogger(cmd.ErrOrStderr(), cfg)
			if err != nil {
				return err
			}
			slog.SetDefault(log)
			return Run(cmd.Context(), cfg, log, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&file, "config", os.Getenv("LUMELA_CONFIG"), "YAML file with settings")
	flags.Flags(cmd.Flags())
	return cmd
}

func openAPICommand() *cobra.Command {
	return &cobra.Command{
		Use: "openapi", Short: "Print the OpenAPI description of the API", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec, err := OpenAPI()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), string(spec))
			return err
		},
	}
}

func newLogger(w io.Writer, cfg Config) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		return nil, fmt.Errorf("log-level: %w", err)
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return slog.New(slog.NewTextHandler(w, opts)), nil
}
