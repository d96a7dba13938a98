"""MLflow: a copy of every run where people look for runs. Training never waits for it.

Importing this room does not import mlflow: one mirror process a store reads the journals and does the sending.
"""

from workbench.tracking.destination import default_uri as default_uri
from workbench.tracking.destination import mlflow_run_id as mlflow_run_id
from workbench.tracking.destination import ui_command as ui_command
from workbench.tracking.query import best as best
from workbench.tracking.query import frame as frame
from workbench.tracking.service import Status as Status
from workbench.tracking.service import ensure_mirror as ensure_mirror
from workbench.tracking.service import status as status
from workbench.tracking.service import sync as sync
