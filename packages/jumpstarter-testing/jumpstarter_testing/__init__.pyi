from .lab import Board as Board
from .lab import ServedLab as ServedLab
from .lab import serve_lab as serve_lab
from .lab import serve_lab_async as serve_lab_async
from .pytest import JumpstarterTest as JumpstarterTest
from .waiting import eventually as eventually
