"""What the browser shows of a turn: live while it streams (``stream``), saved when it is over (``saved``)."""
