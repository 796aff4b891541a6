package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/procura/procura/internal/obs"
	"github.com/procura/procura/internal/pgbox"
)

// stopLimit is how long the database may take to stop.
const stopLimit = 20 * time.Second

// keeper keeps the private Postgres alive: one that was killed is started again
// on its data, at the same address.
type keeper struct {
	cfg pgbox.Config
	log *obs.Logger
	box *pgbox.Box
}

func startDatabase(ctx context.Context, cfg pgbox.Config, log *obs.Logger) (*keeper, error) {
	box, err := pgbox.Start(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("starting the database: %w", err)
	}
	return &keeper{cfg: cfg, log: log, box: box}, nil
}

func (k *keeper) dsn() string { return k.box.DSN(pgbox.Database) }

// run watches until ctx ends; it fails when a Postgres that ended cannot be
// started again.
func (k *keeper) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.box.Exited():
		}
		k.log.Warn("the database ended; starting it again")
		if err := k.again(ctx); err != nil {
			return fmt.Errorf("starting the database again: %w", err)
		}
	}
}

func (k *keeper) again(ctx context.Context) error {
	address := k.dsn()
	if err := k.box.Stop(ctx); err != nil { // lets go of the lock
		k.log.Debug("the database ended badly", "error", err.Error())
	}
	box, err := pgbox.Start(ctx, k.cfg)
	if err != nil {
		return err
	}
	k.box = box
	if k.dsn() != address {
		return errors.New("its address has changed")
	}
	return nil
}

// stop ends the database; it is called once run has returned.
func (k *keeper) stop(ctx context.Context) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	if err := k.box.Stop(limited); err != nil {
		return fmt.Errorf("stopping the database: %w", err)
	}
	return nil
}
