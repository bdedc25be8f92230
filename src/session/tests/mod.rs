mod driver;
mod fake;
mod hostile;
mod letters;
mod rounds;
mod trust;
