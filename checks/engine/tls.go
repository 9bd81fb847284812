package engine

import clicontext "github.com/docker/cli/cli/context"

type tlsData = clicontext.TLSData
