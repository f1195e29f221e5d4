"""What the program can do, behind abstract interfaces (`interfaces`); pages, API, consumer and command line call only these."""
